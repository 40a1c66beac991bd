"""inotify(7): being told when files change."""

import os

from boxship.kernel import foreign as ctypes
from boxship.kernel._libc import check, declare

IN_MODIFY = 0x00000002  # include/uapi/linux/inotify.h, as are the others
IN_MOVED_FROM = 0x00000040
IN_MOVED_TO = 0x00000080
IN_CREATE = 0x00000100
IN_DELETE_SELF = 0x00000400

_init1 = declare("inotify_init1", ctypes.c_int)
_add_watch = declare("inotify_add_watch", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


def inotify_init() -> int:
    """A non-blocking, close-on-exec descriptor to read events from.

    Raises:
        KernelError: EMFILE: fs.inotify.max_user_instances is reached.
    """
    return check(_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1")


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    """Watch a file, or a directory and what is in it."""
    return check(_add_watch(fd, os.fsencode(path), mask), "inotify_add_watch", path)
