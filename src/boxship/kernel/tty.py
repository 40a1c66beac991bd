"""Pseudo terminals by descriptor only: a name under /dev/pts is never trusted."""

import fcntl
import os
import struct

from boxship.kernel._libc import KernelError

# asm-generic/ioctls.h
_TIOCSCTTY = 0x540E
_TIOCGWINSZ = 0x5413
_TIOCSWINSZ = 0x5414
_TIOCSPTLCK = 0x40045431
_TIOCGPTN = 0x80045430
_TIOCGPTPEER = 0x5441


def unlock(master: int) -> None:
    """Let the other end of a new pseudo terminal be opened (TIOCSPTLCK)."""
    _ioctl(master, _TIOCSPTLCK, struct.pack("i", 0), "TIOCSPTLCK")


def open_peer(master: int) -> int:
    """The terminal end that belongs to a master, whatever is mounted on /dev/pts (kernel 4.13)."""
    flags = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return int(fcntl.ioctl(master, _TIOCGPTPEER, flags))
    except OSError as error:
        raise KernelError(error.errno or 0, "TIOCGPTPEER") from error


def set_controlling(terminal: int) -> None:
    """Make a terminal the session leader's controlling terminal."""
    try:
        fcntl.ioctl(terminal, _TIOCSCTTY, 0)
    except OSError as error:
        raise KernelError(error.errno or 0, "TIOCSCTTY") from error


def set_size(terminal: int, rows: int, columns: int) -> None:
    """Set a terminal's size in characters; its foreground processes get SIGWINCH."""
    _ioctl(terminal, _TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0), "TIOCSWINSZ")


def size(terminal: int) -> tuple[int, int]:
    """Rows and columns of a terminal."""
    packed = _ioctl(terminal, _TIOCGWINSZ, bytes(8), "TIOCGWINSZ")
    rows, columns, _, _ = struct.unpack("HHHH", packed)
    return rows, columns


def _ioctl(descriptor: int, request: int, argument: bytes, name: str) -> bytes:
    try:
        return fcntl.ioctl(descriptor, request, argument)
    except OSError as error:
        raise KernelError(error.errno or 0, name) from error
