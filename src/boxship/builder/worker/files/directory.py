"""A tree kept as a directory, or as a mount.

Paths are resolved by the kernel inside the root (openat2), directories are walked by descriptors
without following links, so no link in the tree reaches anything outside of it.
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from boxship.builder.dockerfile.ignore import IgnoreRules
from boxship.builder.worker.files.content import Content, FileContent
from boxship.builder.worker.files.tree import NO_RULES, Absent, Entry, Facts, Found, Tree
from boxship.errors import InvalidArgumentError
from boxship.kernel import safepath

_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Non-blocking, so that a fifo in the place of a file cannot hold anything up.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def place_of(descriptor: int) -> str:
    """The path of an open file, as the kernel knows it (proc(5), /proc/pid/fd)."""
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def facts_of(found: os.stat_result) -> Facts:
    shared = found.st_nlink > 1 and stat.S_ISREG(found.st_mode)
    return Facts(
        found.st_mode,
        found.st_uid,
        found.st_gid,
        found.st_size,
        found.st_mtime_ns,
        found.st_rdev,
        (found.st_dev, found.st_ino) if shared else None,
    )


class DirectoryTree(Tree[int]):
    """Handles are descriptors: of a found path (O_PATH), of a directory being listed.

    Args:
        root: descriptor of the root directory, which stays the caller's.
    """

    def __init__(self, root: int, rules: IgnoreRules = NO_RULES, what: str = "") -> None:
        super().__init__(rules, what)
        self.root = root
        self._place = place_of(root).rstrip("/")

    def release(self, found: Found[int]) -> None:
        os.close(found.handle)

    def open(self, file: Found[int] | Entry[int]) -> Content:
        if isinstance(file, Found):
            descriptor = os.open(f"/proc/self/fd/{file.handle}", _READ)
        else:
            descriptor = os.open(file.name, _READ | os.O_NOFOLLOW, dir_fd=file.parent)
        return FileContent(descriptor, file.facts.size)

    def link_target(self, entry: Entry[int]) -> str:
        return os.readlink(entry.name, dir_fd=entry.parent)

    def enter(self, directory: Found[int] | Entry[int]) -> int:
        if isinstance(directory, Found):
            return os.open(f"/proc/self/fd/{directory.handle}", os.O_RDONLY | os.O_CLOEXEC)
        return os.open(directory.name, _LIST, dir_fd=directory.parent)

    def leave(self, handle: int) -> None:
        os.close(handle)

    def entries(self, handle: int) -> Iterator[tuple[str, Facts]]:
        with os.scandir(handle) as listing:
            for entry in listing:
                yield entry.name, facts_of(entry.stat(follow_symlinks=False))

    def _resolve(self, path: str) -> Found[int]:
        try:
            descriptor = safepath.open_in_root(self.root, path, os.O_PATH)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                raise Absent from error
            raise InvalidArgumentError(f"stat {path}: {error.strerror}") from error
        real = place_of(descriptor).removeprefix(self._place).strip("/")
        return Found(path, real, facts_of(os.fstat(descriptor)), descriptor)
