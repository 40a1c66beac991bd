"""The unix sockets by which commands that end meet a container's process that stays."""

import _socket
import os

from boxship.errors import InvalidArgumentError


def listen(directory: str) -> int:
    """A listening start.sock in a directory; its path may be longer than a socket's name can be."""
    handle = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC, 0)
    holder = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        handle.bind(f"/proc/self/fd/{holder}/start.sock")
        handle.listen(8)
    finally:
        os.close(holder)
    return handle.detach()


def connect(path: str, kind: int) -> "_socket.socket":
    """A connection to a unix socket, whose path may be too long for a socket's name as well.

    Raises:
        InvalidArgumentError: nobody listens there.
    """
    handle = _socket.socket(_socket.AF_UNIX, kind | _socket.SOCK_CLOEXEC, 0)
    directory, _, name = os.path.abspath(path).rpartition("/")  # noqa: PTH100 - as above
    try:
        holder = os.open(directory or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            handle.connect(f"/proc/self/fd/{holder}/{name}")
        finally:
            os.close(holder)
    except OSError as error:
        handle.close()
        raise InvalidArgumentError(f"cannot connect to {path}: {error.strerror}") from error
    return handle


def send_console(path: str, master: int) -> None:
    """Send a terminal's master over a unix stream socket, as runc's clients expect, and close it.

    Raises:
        InvalidArgumentError: nobody listens there.
    """
    connection = connect(path, _socket.SOCK_STREAM)
    rights = master.to_bytes(4, "little")
    connection.sendmsg((b"/dev/ptmx",), ((_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights),))
    connection.close()
    os.close(master)
