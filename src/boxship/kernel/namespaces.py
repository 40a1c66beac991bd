"""Leave and enter namespaces, and set the names a UTS namespace holds."""

from boxship.kernel import abi
from boxship.kernel import foreign as ctypes
from boxship.kernel._libc import check, declare

_unshare = declare("unshare", ctypes.c_int)
_setns = declare("setns", ctypes.c_int, ctypes.c_int)
_ioctl = declare("ioctl", ctypes.c_int, ctypes.c_ulong)
_sethostname = declare("sethostname", ctypes.c_char_p, ctypes.c_size_t)
_setdomainname = declare("setdomainname", ctypes.c_char_p, ctypes.c_size_t)

# linux/nsfs.h
_NS_GET_NSTYPE = 0xB703

KINDS = {
    "user": abi.CLONE_NEWUSER,
    "mount": abi.CLONE_NEWNS,
    "pid": abi.CLONE_NEWPID,
    "network": abi.CLONE_NEWNET,
    "ipc": abi.CLONE_NEWIPC,
    "uts": abi.CLONE_NEWUTS,
    "cgroup": abi.CLONE_NEWCGROUP,
    "time": abi.CLONE_NEWTIME,
}
"""OCI name of a namespace type (runtime spec, config-linux) to its clone flag."""

FILES = {
    "user": "user",
    "mount": "mnt",
    "pid": "pid",
    "network": "net",
    "ipc": "ipc",
    "uts": "uts",
    "cgroup": "cgroup",
    "time": "time",
}
"""OCI name of a namespace type to its file in /proc/PID/ns."""


def unshare(flags: int) -> None:
    """Give the calling thread new namespaces (unshare(2))."""
    check(_unshare(flags), "unshare", hex(flags))


def setns(descriptor: int, flags: int) -> None:
    """Enter a namespace, or several of a process given by a pidfd (setns(2), kernel 5.8)."""
    check(_setns(descriptor, flags), "setns", hex(flags))


def kind_of(descriptor: int) -> int:
    """The clone flag of the type of namespace behind a descriptor (ioctl_ns(2), kernel 4.11).

    Returns:
        0 when the file is no namespace.
    """
    return max(_ioctl(descriptor, _NS_GET_NSTYPE), 0)


def sethostname(name: str) -> None:
    encoded = name.encode()
    check(_sethostname(encoded, len(encoded)), "sethostname", name)


def setdomainname(name: str) -> None:
    encoded = name.encode()
    check(_setdomainname(encoded, len(encoded)), "setdomainname", name)
