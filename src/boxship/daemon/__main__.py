"""`python -m boxship.daemon`."""

import sys

from boxship.daemon.main import main

sys.exit(main())
