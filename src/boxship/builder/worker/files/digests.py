"""A digest of what a copy would read: names, kinds, modes, owners, sizes and contents; no times."""

import hashlib
import os
import stat
from collections.abc import Iterable

from boxship.builder.dockerfile.ignore import IgnoreRules
from boxship.builder.worker.files.tree import Found, Tree
from boxship.builder.worker.files.xattrs import read_xattrs

_CHUNK = 1 << 20
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class TreeDigest:
    """Digests selections of one tree.

    Args:
        owners: count owners and extended attributes, which a copy from the context does not keep.
    """

    def __init__(self, tree: Tree, excludes: Iterable[str] = (), *, owners: bool = True) -> None:
        self._tree = tree
        self._excludes = IgnoreRules(excludes)
        self._owners = owners
        self._hash = hashlib.sha256()

    def add(self, path: str) -> None:
        """Take in a source path, with wildcards or without.

        Raises:
            InvalidArgumentError: it does not exist.
        """
        for name in self._tree.match(path):
            found = self._tree.find(name)
            try:
                self._add(found)
            finally:
                os.close(found.descriptor)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def _add(self, found: Found) -> None:
        if not stat.S_ISDIR(found.facts.st_mode):
            # The name counts: it becomes the name in a destination that is a directory.
            proc = f"/proc/self/fd/{found.descriptor}"
            self._entry(found.path, found.facts, proc, None)
            return
        self._head(found.path, found.facts, b"")
        for entry in self._tree.walk(found, self._excludes):
            self._entry(entry.path, entry.facts, entry.name, entry.parent)

    def _entry(self, path: str, facts: os.stat_result, name: str, parent: int | None) -> None:
        if stat.S_ISLNK(facts.st_mode):
            self._head(path, facts, os.fsencode(os.readlink(name, dir_fd=parent)))
        elif stat.S_ISREG(facts.st_mode):
            flags = _OPEN if parent is not None else _OPEN & ~os.O_NOFOLLOW
            descriptor = os.open(name, flags, dir_fd=parent)
            try:
                self._head(path, facts, read_xattrs(descriptor) if self._owners else b"")
                self._content(descriptor, facts.st_size)
            finally:
                os.close(descriptor)
        else:
            self._head(path, facts, str(facts.st_rdev).encode())

    def _content(self, descriptor: int, size: int) -> None:
        """Exactly `size` bytes count, so that a file that grows cannot shift what follows."""
        while size > 0:
            data = os.read(descriptor, min(size, _CHUNK))
            if not data:
                break
            self._hash.update(data)
            size -= len(data)

    def _head(self, path: str, facts: os.stat_result, extra: bytes) -> None:
        owner = f"{facts.st_uid}:{facts.st_gid}" if self._owners else ""
        # Sizes of directories and links depend on the file system, not on what they hold.
        size = facts.st_size if stat.S_ISREG(facts.st_mode) else 0
        head = f"{len(path)}:{path}:{facts.st_mode:o}:{owner}:{size}:{len(extra)}:"
        self._hash.update(os.fsencode(head) + extra)
