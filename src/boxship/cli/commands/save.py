"""`boxship save`: images into an archive."""

import sys
from pathlib import Path

from boxship.cli.attached import write_all
from boxship.cli.command import Command
from boxship.cli.flags import Flag, Parsed, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App
    from boxship.client.connection import Response


def save(app: "App", parsed: Parsed) -> int:
    """Save images to a file or to standard output."""
    path = parsed.text("output")
    if not path and sys.stdout.isatty():
        raise UsageError("cowardly refusing to save to a terminal, use the -o flag or redirect")
    answer = app.request("GET", "/images/get", {"names": parsed.args})
    if path:
        to_file(answer, Path(path))
    else:
        for data in answer.chunks():
            write_all(1, data)
    return 0


def to_file(answer: "Response", path: Path) -> None:
    """Write a body to a file that appears only once it is whole.

    Raises:
        UsageError: it cannot be written.
    """
    scratch = path.with_name(f".{path.name}.partial")
    try:
        with scratch.open("wb") as file:
            for data in answer.chunks():
                file.write(data)
        scratch.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    finally:
        scratch.unlink(missing_ok=True)


COMMAND = Command(
    "[OPTIONS] IMAGE [IMAGE...]",
    "Save one or more images to a tar archive",
    save,
    (Flag("output", "text", "Write to a file, instead of STDOUT", short="o"),),
    args=(1, None),
)
