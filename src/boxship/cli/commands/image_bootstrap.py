"""`boxship image bootstrap`: a base image without a registry."""

import sys

from boxship.cli.command import Command
from boxship.cli.flags import Parsed
from boxship.cli.progress import Progress
from boxship.cli.pulling import StreamError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def bootstrap(app: "App", parsed: Parsed) -> int:
    """Make a base image from Debian's archive, or from the static busybox of this host."""
    for name in parsed.args:
        answer = app.request("POST", "/images/bootstrap", {"name": name})
        progress = Progress(sys.stdout)
        for message in answer.documents():
            if message.get("error"):
                raise StreamError(str(message["error"]))
            progress.show(message)
    return 0


COMMAND = Command(
    "debian:bookworm|debian:trixie|busybox...",
    "Make a base image on this host, for hosts that reach no registry",
    bootstrap,
    args=(1, None),
)
