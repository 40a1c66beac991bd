"""The one change a fresh network namespace needs without netlink: its loopback goes up."""

import _socket
import fcntl
import struct

from boxship.kernel._libc import KernelError

# linux/sockios.h, linux/if.h
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_REQUEST = struct.Struct("16sH22x")


def set_up(name: str) -> None:
    """Set a network interface of the calling process's namespace up (netdevice(7))."""
    handle = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC, 0)
    try:
        request = fcntl.ioctl(handle, _SIOCGIFFLAGS, _REQUEST.pack(name.encode(), 0))
        flags = _REQUEST.unpack(request)[1]
        fcntl.ioctl(handle, _SIOCSIFFLAGS, _REQUEST.pack(name.encode(), flags | _IFF_UP))
    except OSError as error:
        raise KernelError(error.errno or 0, "SIOCSIFFLAGS", name) from error
    finally:
        handle.close()
