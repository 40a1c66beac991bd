"""`boxship run`: create, attach, start and wait for a container."""

import os

from boxship.cli import terminal
from boxship.cli.attached import DetachedError, forward_signals, on_resize, pump
from boxship.cli.command import Command
from boxship.cli.detach import DetachKeys
from boxship.cli.flags import Parsed, UsageError
from boxship.cli.options.container import attached_streams, create_body
from boxship.cli.options.flags import RUN_FLAGS
from boxship.errors import BoxshipError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.cli.app import App
    from boxship.client.connection import Connection

EXIT_ENGINE = 125
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127

_UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


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
        return _attached(app, parsed, container_id, streams)
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


def _attached(app: "App", parsed: Parsed, container_id: str, streams: "set[str]") -> int:
    tty = parsed.flag("tty")
    keys = DetachKeys(parsed.text("detach-keys")) if tty and "stdin" in streams else None
    connection = app.connect()
    query = {"stream": 1, "detachKeys": parsed.text("detach-keys") or None}
    query |= dict.fromkeys(streams, 1)
    connection.request(
        "POST", f"{app.prefix}/containers/{container_id}/attach", query, headers=_UPGRADE
    )
    condition = "removed" if parsed.flag("rm") else "next-exit"
    waiting = app.connect()
    wait = waiting.request(
        "POST", f"{app.prefix}/containers/{container_id}/wait", {"condition": condition}
    )
    if parsed.flag("sig-proxy") and not tty:
        forward_signals(lambda number: _kill(app, container_id, number))
    with terminal.RawMode(0 if tty and "stdin" in streams else -1):
        app.call("POST", f"/containers/{container_id}/start")
        if tty:
            resize = _Resizer(app, f"/containers/{container_id}/resize")
            resize()
            on_resize(resize)
        _pump(app, connection, stdin="stdin" in streams, tty=tty, keys=keys)
    return _exit_code(wait.document())


def _pump(
    app: "App", connection: "Connection", *, stdin: bool, tty: bool, keys: "DetachKeys | None"
) -> None:
    try:
        pump(connection, stdin=stdin, tty=tty, keys=keys)
    except DetachedError:
        app.err("")
        raise


def _exit_code(document: "dict[str, Any]") -> int:
    if document.get("Error"):
        raise RunError(BoxshipError(document["Error"]["Message"]), EXIT_ENGINE)
    return int(document["StatusCode"])


def _kill(app: "App", container_id: str, number: int) -> None:
    connection = app.connect()
    try:
        connection.request(
            "POST", f"{app.prefix}/containers/{container_id}/kill", {"signal": number}
        )
    except BoxshipError as error:
        app.err(f"cannot pass signal {number} on: {error}")
    finally:
        connection.close()


class _Resizer:
    """Tells the engine the terminal's size, on a connection of its own."""

    def __init__(self, app: "App", path: str) -> None:
        self._app = app
        self._path = path

    def __call__(self) -> None:
        rows, columns = terminal.size(0)
        if not rows:
            return
        connection = self._app.connect()
        try:
            connection.request(
                "POST", f"{self._app.prefix}{self._path}", {"h": rows, "w": columns}
            ).read()
        except BoxshipError:
            # The process may have ended just now; its exit code says all there is to say.
            return
        finally:
            connection.close()


COMMAND = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create and run a new container from an image",
    run,
    RUN_FLAGS,
    args=(1, None),
    interspersed=False,
)
