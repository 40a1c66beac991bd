"""Messages with file descriptors over a unix SEQPACKET socket.

One message is one packet, so there is no framing. A body that does not fit into a packet travels
in a memfd ahead of the caller's descriptors: the socket's buffer would refuse it (EMSGSIZE).
Used by the daemon, the keeper and the launcher: imports nothing big.
"""

import _socket
import os
import struct

TYPE_CHECKING = False  # neither typing nor socket: the launcher imports this
if TYPE_CHECKING:
    from collections.abc import Sequence

PROTOCOL = 2
"""Raised when a message between daemon, keeper, launcher and containers' processes changes.

What a daemon must be able to say to a keeper of every earlier protocol, and to hear from it, is
`Hello` and its answer, `Deposited`, `Withdrawn` and `Exited`: so it takes over what that one has.
"""

INLINE = 65_536
"""Largest body sent in the packet itself, in bytes."""

_MAX_FDS = 32
_PLAIN = b"="
_SPILLED = b"@"


class ChannelError(ConnectionError):
    """The peer broke the framing, or descriptors were lost on the way (RLIMIT_NOFILE)."""


def send(sock: _socket.socket, body: bytes, fds: "Sequence[int]" = ()) -> None:
    """Send one message; the caller keeps its descriptors.

    Raises:
        BlockingIOError: the socket is non-blocking and full; nothing was sent.
        OSError: the peer is gone (EPIPE, ECONNRESET).
    """
    if len(body) <= INLINE:
        _send(sock, _PLAIN + body, fds)
        return
    spill = os.memfd_create("boxship-message", os.MFD_CLOEXEC)
    try:
        _write_all(spill, body)
        _send(sock, _SPILLED, (spill, *fds))
    finally:
        os.close(spill)


def receive(sock: _socket.socket) -> tuple[bytes, list[int]] | None:
    """The next message and its descriptors (close-on-exec, the caller's to close); None at EOF.

    Raises:
        BlockingIOError: the socket is non-blocking and empty.
        ChannelError: see there; the connection is of no further use.
    """
    space = _socket.CMSG_SPACE(_MAX_FDS * 4)
    try:
        packet, ancillary, flags, _ = sock.recvmsg(INLINE + 1, space, _socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        # The peer closed with messages of ours unread. The kernel says so first, and once; what
        # the peer had sent before is still to come.
        packet, ancillary, flags, _ = sock.recvmsg(INLINE + 1, space, _socket.MSG_CMSG_CLOEXEC)
    fds = _descriptors(ancillary)
    if flags & (_socket.MSG_CTRUNC | _socket.MSG_TRUNC):
        close_all(fds)
        raise ChannelError("a message was cut: descriptor limit or packet size exceeded")
    if not packet:
        close_all(fds)
        return None
    if packet[:1] == _PLAIN:
        return packet[1:], fds
    if packet[:1] != _SPILLED or not fds:
        close_all(fds)
        raise ChannelError("a message does not begin as agreed")
    return _read_spill(fds.pop(0)), fds


def close_all(fds: "Sequence[int]") -> None:
    for fd in fds:
        os.close(fd)


def _send(sock: _socket.socket, packet: bytes, fds: "Sequence[int]") -> None:
    if not fds:
        sock.send(packet)
        return
    rights = struct.pack(f"{len(fds)}i", *fds)
    sock.sendmsg([packet], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    fds: list[int] = []
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            count = len(data) // 4
            fds.extend(struct.unpack(f"{count}i", data[: count * 4]))
    return fds


def _write_all(fd: int, body: bytes) -> None:
    view = memoryview(body)
    while view:
        view = view[os.write(fd, view) :]


def _read_spill(fd: int) -> bytes:
    try:
        size = os.fstat(fd).st_size
        parts: list[bytes] = []
        offset = 0
        while offset < size:
            part = os.pread(fd, size - offset, offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
        return b"".join(parts)
    finally:
        os.close(fd)
