"""`boxship load`: images from an archive."""

import sys
from pathlib import Path

from boxship.cli.command import Command
from boxship.cli.flags import Flag, Parsed, UsageError
from boxship.cli.progress import Progress
from boxship.cli.pulling import StreamError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from boxship.cli.app import App

_CHUNK = 1 << 18


def load(app: "App", parsed: Parsed) -> int:
    """Load images from a file or from standard input."""
    path = parsed.text("input")
    if not path and sys.stdin.isatty():
        raise UsageError("requested load from stdin, but stdin is empty")
    try:
        source = Path(path).open("rb") if path else sys.stdin.buffer  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"open {path}: {error.strerror}") from error
    with source:
        headers = {"Content-Type": "application/x-tar"}
        query = {"quiet": parsed.flag("quiet")}
        answer = app.request("POST", "/images/load", query, chunks(source), headers)
        progress = Progress(sys.stdout)
        for message in answer.documents():
            if message.get("error"):
                raise StreamError(str(message["error"]))
            progress.show(message)
    return 0


def chunks(source: "BinaryIO") -> "Iterator[bytes]":
    """A file in pieces for an upload."""
    while data := source.read(_CHUNK):
        yield data


COMMAND = Command(
    "[OPTIONS]",
    "Load an image from a tar archive or STDIN",
    load,
    (
        Flag("input", "text", "Read from tar archive file, instead of STDIN", short="i"),
        Flag("quiet", "bool", "Suppress the load output", short="q"),
    ),
    args=(0, 0),
)
