"""What a container's first process and its maker say to each other: a closed set of messages.

One message is one packet on a unix SEQPACKET socket. The usual talk, child on the left:

    <- SETUP + descriptors    id maps are written; here are the mounts that only the host can make
    -> CONSOLE + master       only with a terminal
    -> NOTIFY + listener      only with a seccomp profile that asks an agent
    -> READY                  the container is built, the program was found
    <- GO                     start it
    -> BORN + pidfd           exec only: the process that the container sees, in place of this one
    end of file               the program runs (the socket is close-on-exec)

With hooks that run in the host's namespaces, `-> HOOKS` and `<- GO` come before the root is
entered. `-> ERROR` may come at any time and is the last message. SETUP is sent by `spawn` itself.
Used between fork and exec: imports nothing but the C socket module.
"""

import _socket
import errno
import os

from boxship.errors import InternalError
from boxship.kernel.shield import FAILED

READY = "R"
CONSOLE = "C"
ERROR = "E"
HOOKS = "H"
GO = "G"
SETUP = "S"
BORN = "B"
NOTIFY = "N"

NOT_FOUND = "not_found"
PERMISSION = "permission"
HOOK = "hook"
OTHER = "other"

_REASONS = {
    errno.ENOENT: NOT_FOUND,
    errno.ENOTDIR: NOT_FOUND,
    errno.EACCES: PERMISSION,
    errno.EPERM: PERMISSION,
    errno.EISDIR: PERMISSION,
}
_KINDS = frozenset((READY, CONSOLE, ERROR, HOOKS, GO, SETUP, BORN, NOTIFY))
_MAX_TEXT = 4096
_MAX_FDS = 250
_INT = 4


class Message:
    """One message.

    Attributes:
        kind: READY, CONSOLE, ERROR, HOOKS, GO, SETUP, BORN or NOTIFY.
        fds: descriptors that came with it; the receiver closes them.
        reason: with ERROR: `not_found`, `permission`, `hook` or `other`.
        number: with ERROR: errno, or 0.
        text: with ERROR: what failed, for the user.
    """

    __slots__ = ("fds", "kind", "number", "reason", "text")

    def __init__(self, kind: str, fds: tuple[int, ...] = (), text: str = "") -> None:
        self.kind = kind
        self.fds = fds
        self.reason = ""
        self.number = 0
        self.text = text

    def __repr__(self) -> str:
        return (
            f"Message({self.kind!r}, {self.fds!r}, {self.reason!r}, {self.number}, {self.text!r})"
        )


class Channel:
    """One end of the socket. It owns the descriptor until `close` or `detach`."""

    __slots__ = ("_socket",)

    def __init__(self, descriptor: int) -> None:
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fileno=descriptor)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def detach(self) -> int:
        """Give the descriptor up without closing it."""
        return self._socket.detach()

    def send(self, kind: str, fds: "tuple[int, ...] | list[int]" = ()) -> None:
        """Send a message other than ERROR.

        Raises:
            OSError: the other end is gone (EPIPE).
        """
        if not fds:
            self._socket.send(kind.encode(), _socket.MSG_NOSIGNAL)
            return
        packed = b"".join(fd.to_bytes(_INT, "little") for fd in fds)
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)
        self._socket.sendmsg((kind.encode(),), (rights,), _socket.MSG_NOSIGNAL)

    def send_error(self, reason: str, number: int, text: str) -> None:
        """Tell the other end why this one gives up; silent when nobody listens any more."""
        packet = f"{ERROR}{reason}\0{number}\0{text[:_MAX_TEXT]}".encode(errors="replace")
        try:
            self._socket.send(packet, _socket.MSG_NOSIGNAL)
        except OSError:
            return

    def _packet(self) -> "tuple[bytes, list[tuple[int, int, bytes]]]":
        space = _socket.CMSG_SPACE(_MAX_FDS * _INT)
        packet, ancillary, _, _ = self._socket.recvmsg(
            4 * _MAX_TEXT + 64, space, _socket.MSG_CMSG_CLOEXEC
        )
        return packet, ancillary

    def receive(self) -> Message | None:
        """The next message; None when the other end is closed.

        Raises:
            BlockingIOError: the socket is non-blocking and nothing has arrived.
            InternalError: the packet is none of ours.
        """
        try:
            packet, ancillary = self._packet()
        except ConnectionResetError:
            # The other end died with a message of ours unread, which the kernel tells before
            # the messages it sent; those are still there.
            packet, ancillary = self._packet()
        fds = _descriptors(ancillary)
        if not packet:
            return None
        if packet[:1] == FAILED:
            return _execute_failed(packet[1], packet[2:].decode(errors="replace"))
        message = Message(chr(packet[0]), fds)
        if message.kind not in _KINDS:
            msg = f"unknown message from a container's process: {packet[:32]!r}"
            raise InternalError(msg)
        if message.kind == ERROR:
            reason, number, text = packet[1:].decode(errors="replace").split("\0", 2)
            message.reason, message.number, message.text = reason, int(number), text
        return message

    def accept(self) -> "Channel":
        """Wait for a connection on a listening socket."""
        descriptor, _ = self._socket._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        return Channel(descriptor)


def reason(number: int) -> str:
    """Why a program cannot be executed, by errno: it decides about exit codes 127 and 126."""
    return _REASONS.get(number, OTHER)


def _execute_failed(number: int, text: str) -> Message:
    message = Message(ERROR, text=text + os.strerror(number).lower())
    message.reason, message.number = reason(number), number
    return message


def pair() -> tuple[Channel, Channel]:
    """Two connected ends, close-on-exec."""
    left, right = _socket.socketpair(
        _socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC, 0
    )
    return Channel(left.detach()), Channel(right.detach())


def _descriptors(ancillary: "list[tuple[int, int, bytes]]") -> tuple[int, ...]:
    fds: list[int] = []
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            whole = len(data) - len(data) % _INT
            fds += [int.from_bytes(data[i : i + _INT], "little") for i in range(0, whole, _INT)]
    return tuple(fds)
