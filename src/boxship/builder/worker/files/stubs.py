"""Mount points that the runtime had to make in a root, taken out of the layer again."""

import os
import posixpath
import stat
from collections.abc import Iterable
from contextlib import suppress

from boxship.kernel import safepath

_PATH = os.O_PATH | os.O_NOFOLLOW


def remove_stubs(upper: int, lower: int | None, paths: Iterable[str]) -> None:
    """Remove empty files and directories that were not in the lower root before.

    Directories on the way to them go too when nothing but a stub was in them; one that was there
    before gets its times back.

    Args:
        upper: descriptor of the overlay's upper directory.
        lower: descriptor of the root it lay on, None for nothing.
        paths: where something was mounted, relative to the root.
    """
    for path in sorted(set(paths), key=len, reverse=True):
        current = path.strip("/")
        while current and _remove(upper, lower, current):
            current = posixpath.dirname(current)


def _remove(upper: int, lower: int | None, path: str) -> bool:
    """Remove one; tell whether its parent may be a stub now."""
    parent, name = posixpath.split(path)
    try:
        directory = safepath.open_in_root(upper, parent or ".", os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        facts = os.stat(name, dir_fd=directory, follow_symlinks=False)
        before = _facts(lower, path)
        if before is None:
            return _remove_new(directory, name, facts)
        if stat.S_ISDIR(facts.st_mode) and _same(facts, before) and not _is_opaque(directory, name):
            # Only its times changed: without the entry the lower one shows through.
            return _remove_new(directory, name, facts)
    except OSError:
        return False
    finally:
        os.close(directory)
    return False


def _remove_new(directory: int, name: str, facts: os.stat_result) -> bool:
    if stat.S_ISDIR(facts.st_mode):
        os.rmdir(name, dir_fd=directory)
        return True
    if stat.S_ISREG(facts.st_mode) and facts.st_size == 0:
        os.unlink(name, dir_fd=directory)
        return True
    return False


def _facts(lower: int | None, path: str) -> os.stat_result | None:
    if lower is None:
        return None
    with suppress(OSError):
        descriptor = safepath.open_in_root(lower, path, _PATH)
        try:
            return os.fstat(descriptor)
        finally:
            os.close(descriptor)
    return None


def _is_opaque(directory: int, name: str) -> bool:
    """Whether the directory replaces the lower one instead of being joined with it."""
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        return "user.overlay.opaque" in os.listxattr(descriptor)
    finally:
        os.close(descriptor)


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_mode, one.st_uid, one.st_gid) == (other.st_mode, other.st_uid, other.st_gid)
