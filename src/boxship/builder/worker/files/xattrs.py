"""Extended attributes that belong to a file and not to the overlay that shows it."""

import errno
import os
from collections.abc import Iterable
from contextlib import suppress

_KEPT = ("user.", "security.capability")
_HIDDEN = "user.overlay."


def is_kept(name: str) -> bool:
    """Whether a copy takes the attribute along."""
    return name.startswith(_KEPT) and not name.startswith(_HIDDEN)


def list_xattrs(descriptor: int) -> list[tuple[str, bytes]]:
    """Names and values, sorted; empty on a file system that has none."""
    try:
        names = os.listxattr(descriptor)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM):
            return []
        raise
    return [(name, os.getxattr(descriptor, name)) for name in sorted(filter(is_kept, names))]


def joined(xattrs: Iterable[tuple[str, bytes]]) -> bytes:
    """All of them as one string, to be digested."""
    return b"".join(b"%s=%d:%s" % (name.encode(), len(value), value) for name, value in xattrs)


def set_xattrs(target: int, xattrs: Iterable[tuple[str, bytes]]) -> None:
    """Give them to a file; a file system that refuses loses them, as with cp(1)."""
    for name, value in xattrs:
        with suppress(OSError):
            os.setxattr(target, name, value)
