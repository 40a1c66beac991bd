"""`boxship import`: an image from a root file system's archive."""

import sys
from pathlib import Path

from boxship.cli.command import Command
from boxship.cli.commands.load import chunks
from boxship.cli.flags import Flag, Parsed, UsageError
from boxship.cli.progress import Progress
from boxship.cli.pulling import StreamError, split_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def import_image(app: "App", parsed: Parsed) -> int:
    """Import an archive and print the image's id."""
    path = parsed.args[0]
    query = {
        "fromSrc": "-",
        "message": parsed.text("message") or None,
        "changes": parsed.list("change"),
        "platform": parsed.text("platform") or None,
    }
    if len(parsed.args) > 1:
        query["repo"], query["tag"] = split_tag(parsed.args[1])
    try:
        source = sys.stdin.buffer if path == "-" else Path(path).open("rb")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"open {path}: {error.strerror}") from error
    with source:
        headers = {"Content-Type": "application/x-tar"}
        answer = app.request("POST", "/images/create", query, chunks(source), headers)
        progress = Progress(sys.stdout)
        for message in answer.documents():
            if message.get("error"):
                raise StreamError(str(message["error"]))
            progress.show(message)
    return 0


COMMAND = Command(
    "[OPTIONS] file|- [REPOSITORY[:TAG]]",
    "Import the contents from a tarball to create a filesystem image",
    import_image,
    (
        Flag("change", "list", "Apply Dockerfile instruction to the created image", short="c"),
        Flag("message", "text", "Set commit message for imported image", short="m"),
        Flag("platform", "text", "Set platform if server is multi-platform capable"),
    ),
    args=(1, 2),
)
