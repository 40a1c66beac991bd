"""`boxship run`: create, attach, start and wait for a container."""

import os

from boxship.cli import terminal
from boxship.cli.attached import DetachedError
from boxship.cli.command import Command
from boxship.cli.detach import DetachKeys
from boxship.cli.flags import Parsed, UsageError
from boxship.cli.options.container import attached_streams, create_body
from boxship.cli.options.flags import RUN_FLAGS
from boxship.cli.running import Attachment, run_attached
from boxship.errors import BoxshipError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App

EXIT_ENGINE = 125
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127


class RunError(BoxshipError):
    """A run that failed before its process could: the exit code tells why."""

    kind = "run"

    def __init__(self, cause: BoxshipError, code: int) -> None:
        super().__init__(cause.message, hint=cause.hint)
        self.exit_code = code


def run(app: "App", parsed: Parsed) -> int:
    """Run a container; the result is its exit code."""
    detached = parsed.flag("detach")
    tty = parsed.flag("tty")
    streams = attached_streams(parsed, detached=detached)
    if tty and "stdin" in streams and not terminal.is_terminal(0):
        raise UsageError("the input device is not a TTY")
    try:
        container_id = create(app, parsed, detached=detached)
        if detached:
            app.call("POST", f"/containers/{container_id}/start")
            app.out(container_id)
            return 0
        keys = DetachKeys(parsed.text("detach-keys")) if tty and "stdin" in streams else None
        attachment = Attachment(
            container_id, streams, tty=tty, keys=keys, sig_proxy=parsed.flag("sig-proxy")
        )
        return run_attached(app, attachment, removed=parsed.flag("rm"))
    except UsageError:
        raise
    except DetachedError:
        return 0
    except BoxshipError as error:
        raise RunError(error, exit_code_of(error)) from error


def exit_code_of(error: BoxshipError) -> int:
    """125 for the engine's failures, 126 and 127 for a command that cannot be executed."""
    text = error.message.lower()
    if "exec" not in text and "oci runtime" not in text:
        return EXIT_ENGINE
    if "permission denied" in text or "is a directory" in text:
        return EXIT_NOT_EXECUTABLE
    if "not found" in text or "no such file or directory" in text:
        return EXIT_NOT_FOUND
    return EXIT_ENGINE


def create(app: "App", parsed: Parsed, *, detached: bool) -> str:
    """Create the container that the flags describe, pulling its image when it is not here."""
    body = create_body(parsed, detached=detached)
    cidfile = parsed.text("cidfile")
    if cidfile and os.path.exists(cidfile):  # noqa: PTH110 - pathlib costs 5 ms
        raise UsageError(
            f"container ID file found, make sure the other container isn't running or delete"
            f" {cidfile}"
        )
    if parsed.text("pull") not in ("always", "missing", "never"):
        raise UsageError(f"invalid pull option: '{parsed.text('pull')}'")
    if parsed.text("pull") == "always":
        _pull(app, parsed, body["Image"])
    query = {"name": parsed.text("name") or None, "platform": parsed.text("platform") or None}
    try:
        answer = app.call("POST", "/containers/create", query, body)
    except NotFoundError as error:
        if parsed.text("pull") == "never" or "no such image" not in error.message.lower():
            raise
        app.err(f"Unable to find image '{_with_tag(body['Image'])}' locally")
        _pull(app, parsed, body["Image"])
        answer = app.call("POST", "/containers/create", query, body)
    for warning in answer["Warnings"] or ():
        app.err(f"WARNING: {warning}")
    container_id = str(answer["Id"])
    if cidfile:
        with open(cidfile, "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib costs 5 ms
            file.write(container_id)
    return container_id


def _with_tag(image: str) -> str:
    tail = image.rpartition("/")[2]
    return image if ":" in tail or "@" in tail else f"{image}:latest"


def _pull(app: "App", parsed: Parsed, image: str) -> None:
    from boxship.cli.pulling import pull  # noqa: PLC0415 - images are mostly here

    pull(app, image, platform=parsed.text("platform"), quiet=parsed.flag("quiet"), to_stderr=True)


COMMAND = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create and run a new container from an image",
    run,
    RUN_FLAGS,
    args=(1, None),
    interspersed=False,
)
