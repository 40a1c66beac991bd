"""`boxship push`: upload an image to a registry."""

import sys

from boxship.cli.command import Command
from boxship.cli.credentials import encode, find, registry_of
from boxship.cli.flags import Flag, Parsed
from boxship.cli.progress import Progress
from boxship.cli.pulling import StreamError, split_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def push(app: "App", parsed: Parsed) -> int:
    """Push one tag."""
    name, tag = split_tag(parsed.args[0])
    # The engine insists on the header, as Docker's does; an empty document means anonymous.
    headers = {"X-Registry-Auth": encode(find(registry_of(name)) or {})}
    answer = app.request("POST", f"/images/{name}/push", {"tag": tag}, headers=headers)
    progress = Progress(sys.stdout, quiet=parsed.flag("quiet"))
    for message in answer.documents():
        if message.get("error"):
            raise StreamError(str(message["error"]))
        progress.show(message)
    if parsed.flag("quiet"):
        app.out(parsed.args[0])
    return 0


COMMAND = Command(
    "[OPTIONS] NAME[:TAG]",
    "Upload an image to a registry",
    push,
    (Flag("quiet", "bool", "Suppress verbose output", short="q"),),
    args=(1, 1),
)
