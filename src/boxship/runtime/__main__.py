"""`python -m boxship.runtime` is `boxship-runtime`."""

from boxship.runtime.cli import main

main()
