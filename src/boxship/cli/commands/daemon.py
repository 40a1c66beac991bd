"""`boxship daemon`: run the engine in the foreground."""

import os
import sys

from boxship.cli.command import Command
from boxship.cli.flags import Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from boxship.cli.app import App


def daemon(_app: "App", parsed: Parsed) -> "NoReturn":
    """Become the daemon: its flags are its own to read."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "boxship.daemon", *parsed.args])  # noqa: S606


COMMAND = Command(
    "[OPTIONS]",
    "Run the engine in the foreground",
    daemon,
    raw=True,
)
