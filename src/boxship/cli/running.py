"""Being attached to a container: start it or join it, carry its streams, learn its exit code."""

from boxship.cli import terminal
from boxship.cli.attached import DetachedError, forward_signals, on_resize, pump
from boxship.errors import BoxshipError, InternalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.cli.app import App
    from boxship.cli.detach import DetachKeys
    from boxship.client.connection import Connection

UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


class Attachment:
    """How a client is attached.

    Attributes:
        container_id: the container.
        streams: which of stdin, stdout and stderr.
        tty: whether the container has a terminal.
        keys: detach keys to look for, or None.
        sig_proxy: whether our signals go to the container.
    """

    __slots__ = ("container_id", "keys", "sig_proxy", "streams", "tty")

    def __init__(
        self,
        container_id: str,
        streams: "set[str]",
        *,
        tty: bool,
        keys: "DetachKeys | None",
        sig_proxy: bool,
    ) -> None:
        self.container_id = container_id
        self.streams = streams
        self.tty = tty
        self.keys = keys
        self.sig_proxy = sig_proxy


def run_attached(app: "App", attachment: Attachment, *, removed: bool) -> int:
    """Attach, start and wait; the result is the container's exit code.

    Raises:
        DetachedError: the user typed the detach keys.
        BoxshipError: it could not be started.
    """
    path = f"/containers/{attachment.container_id}"
    connection = _attach(app, attachment)
    waiting = app.connect()
    condition = "removed" if removed else "next-exit"
    wait = waiting.request("POST", f"{app.prefix}{path}/wait", {"condition": condition})
    if attachment.sig_proxy and not attachment.tty:
        forward_signals(lambda number: _kill(app, path, number))
    with _raw(attachment):
        app.call("POST", f"{path}/start")
        carry(app, attachment, connection, f"{path}/resize")
    return _exit_code(wait.document())


def join(app: "App", attachment: Attachment) -> int:
    """Attach to a container that runs; the result is its exit code.

    Raises:
        DetachedError: the user typed the detach keys.
    """
    path = f"/containers/{attachment.container_id}"
    waiting = app.connect()
    wait = waiting.request("POST", f"{app.prefix}{path}/wait", {"condition": "not-running"})
    connection = _attach(app, attachment)
    if attachment.sig_proxy and not attachment.tty:
        forward_signals(lambda number: _kill(app, path, number))
    with _raw(attachment):
        carry(app, attachment, connection, f"{path}/resize")
    return _exit_code(wait.document())


def carry(app: "App", attachment: Attachment, connection: "Connection", resize_path: str) -> None:
    """Carry the streams until the process is done, telling the terminal's size meanwhile."""
    if attachment.tty:
        resize = _Resizer(app, resize_path)
        resize()
        on_resize(resize)
    try:
        pump(
            connection,
            stdin="stdin" in attachment.streams,
            tty=attachment.tty,
            keys=attachment.keys,
        )
    except DetachedError:
        app.err("")
        raise


def _raw(attachment: Attachment) -> terminal.RawMode:
    wanted = attachment.tty and "stdin" in attachment.streams
    return terminal.RawMode(0 if wanted else -1)


def _attach(app: "App", attachment: Attachment) -> "Connection":
    connection = app.connect()
    query = {"stream": 1} | dict.fromkeys(attachment.streams, 1)
    path = f"{app.prefix}/containers/{attachment.container_id}/attach"
    connection.request("POST", path, query, headers=UPGRADE)
    return connection


def _exit_code(document: "dict[str, Any]") -> int:
    if document.get("Error"):
        raise InternalError(document["Error"]["Message"])
    return int(document["StatusCode"])


def _kill(app: "App", path: str, number: int) -> None:
    connection = app.connect()
    try:
        connection.request("POST", f"{app.prefix}{path}/kill", {"signal": number})
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
        path = f"{self._app.prefix}{self._path}"
        try:
            connection.request("POST", path, {"h": rows, "w": columns}).read()
        except BoxshipError:
            # The process may have ended just now; its exit code says all there is to say.
            return
        finally:
            connection.close()
