"""Extended attributes that belong to a file and not to the overlay that shows it."""

import errno
import os
from contextlib import suppress

_KEPT = ("user.", "security.capability")
_HIDDEN = "user.overlay."


def list_xattrs(descriptor: int) -> list[tuple[str, bytes]]:
    """Names and values, sorted; empty on a file system that has none."""
    try:
        names = os.listxattr(descriptor)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM):
            return []
        raise
    kept = [n for n in names if n.startswith(_KEPT) and not n.startswith(_HIDDEN)]
    return [(name, os.getxattr(descriptor, name)) for name in sorted(kept)]


def read_xattrs(descriptor: int) -> bytes:
    """All of them as one string, to be digested."""
    return b"".join(
        b"%s=%d:%s" % (name.encode(), len(value), value) for name, value in list_xattrs(descriptor)
    )


def copy_xattrs(source: int, target: int) -> None:
    """Bring them over; a target file system that refuses loses them, as cp(1) does."""
    for name, value in list_xattrs(source):
        with suppress(OSError):
            os.setxattr(target, name, value)
