"""`python -m boxship.runtime` is `boxship-runtime`."""

from boxship.coldstart import run

run("boxship-runtime", "boxship.runtime.oci.cli")
