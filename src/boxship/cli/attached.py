"""The client's side of an attached process: standard streams over a hijacked connection."""

import _signal  # type: ignore[import-not-found]  # `signal` imports `enum`, 5 ms
import os
import select

from boxship.errors import BoxshipError, InternalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from boxship.cli.detach import DetachKeys
    from boxship.client.connection import Connection

_CHUNK = 1 << 16
_STDERR = 2
_SYSTEM_ERROR = 3


class DetachedError(BoxshipError):
    """The user typed the detach keys."""

    kind = "detached"
    exit_code = 0


class Demultiplexer:
    """Takes Docker's stdcopy frames apart, however they arrive in pieces."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> "list[tuple[int, bytes]]":
        """The whole frames so far: (stream, payload)."""
        self._buffer += data
        frames = []
        while len(self._buffer) >= 8:
            length = int.from_bytes(self._buffer[4:8], "big")
            if len(self._buffer) < 8 + length:
                break
            frames.append((self._buffer[0], self._buffer[8 : 8 + length]))
            self._buffer = self._buffer[8 + length :]
        return frames


def write_all(fd: int, data: bytes) -> None:
    """Write everything, however little a pipe takes at once."""
    while data:
        data = data[os.write(fd, data) :]


def pump(
    connection: "Connection", *, stdin: bool, tty: bool, keys: "DetachKeys | None" = None
) -> None:
    """Carry bytes between the standard streams and the connection until the process is done.

    Raises:
        DetachedError: the user typed the detach keys.
        InternalError: the engine reported a failure in the stream.
    """
    frames = None if tty else Demultiplexer()
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if connection.buffered() and not _output(connection, frames):
        return
    if stdin:
        poll.register(0, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == connection.fileno():
                if not _output(connection, frames):
                    return
            elif not _input(connection, keys):
                poll.unregister(0)


def _output(connection: "Connection", frames: "Demultiplexer | None") -> bool:
    data = connection.receive()
    if not data:
        return False
    if frames is None:
        write_all(1, data)
        return True
    for stream, payload in frames.feed(data):
        if stream == _SYSTEM_ERROR:
            raise InternalError(payload.decode("utf-8", "replace").strip())
        write_all(2 if stream == _STDERR else 1, payload)
    return True


def _input(connection: "Connection", keys: "DetachKeys | None") -> bool:
    try:
        data = os.read(0, _CHUNK)
    except OSError:
        data = b""
    if not data:
        connection.close_write()
        return False
    if keys is not None:
        data, detached = keys.filter(data)
        if detached:
            raise DetachedError("read escape sequence")
    connection.send(data)
    return True


def forward_signals(send: "Callable[[int], None]") -> None:
    """Pass every signal that a user can send us on to the process (`--sig-proxy`)."""
    skipped = {_signal.SIGCHLD, _signal.SIGPIPE, _signal.SIGURG, _signal.SIGKILL, _signal.SIGSTOP}
    skipped |= {_signal.SIGWINCH, _signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU}
    for number in range(1, 32):
        if number not in skipped:
            _signal.signal(number, lambda number, _frame: send(number))


def on_resize(send: "Callable[[], None]") -> None:
    """Tell about every change of the terminal's size."""
    _signal.signal(_signal.SIGWINCH, lambda _number, _frame: send())
