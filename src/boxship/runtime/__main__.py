"""`python -m boxship.runtime` is `boxship-runtime`."""

import sys

from boxship.runtime.cli import main

sys.exit(main())
