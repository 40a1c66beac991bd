"""A digest of what a copy would read: names, kinds, modes, owners, sizes and contents; no times."""

import hashlib
import os
import stat
from collections.abc import Iterable
from typing import Generic

from boxship.builder.dockerfile.ignore import IgnoreRules
from boxship.builder.worker.files.content import Content
from boxship.builder.worker.files.tree import Entry, Facts, Found, Handle, Tree
from boxship.builder.worker.files.xattrs import joined


class TreeDigest(Generic[Handle]):
    """Digests selections of one tree.

    Args:
        owners: count owners and extended attributes, which a copy from the context does not keep.
    """

    def __init__(
        self, tree: Tree[Handle], excludes: Iterable[str] = (), *, owners: bool = True
    ) -> None:
        self._tree = tree
        self._excludes = IgnoreRules(excludes)
        self._owners = owners
        self._hash = hashlib.sha256()

    def add(self, path: str) -> None:
        """Take in a source path, with wildcards or without.

        Raises:
            NotFoundError: it does not exist.
        """
        for name in self._tree.match(path):
            found = self._tree.find(name)
            try:
                self._add(found)
            finally:
                self._tree.release(found)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def _add(self, found: Found[Handle]) -> None:
        if found.facts.is_regular:
            # The name counts: it becomes the name in a destination that is a directory.
            self._file(found.path, found.facts, self._tree.open(found))
            return
        self._head(found.path, found.facts, b"")
        if found.facts.is_directory:
            for entry in self._tree.walk(found, self._excludes):
                self._entry(entry)

    def _entry(self, entry: Entry[Handle]) -> None:
        facts = entry.facts
        if facts.is_regular:
            self._file(entry.path, facts, self._tree.open(entry))
        elif stat.S_ISLNK(facts.mode):
            self._head(entry.path, facts, os.fsencode(self._tree.link_target(entry)))
        else:
            self._head(entry.path, facts, str(facts.device).encode())

    def _file(self, path: str, facts: Facts, content: Content) -> None:
        try:
            self._head(path, facts, joined(content.xattrs()) if self._owners else b"")
            content.digest(self._hash)
        finally:
            content.close()

    def _head(self, path: str, facts: Facts, extra: bytes) -> None:
        owner = f"{facts.uid}:{facts.gid}" if self._owners else ""
        # Sizes of directories and links depend on the file system, not on what they hold.
        size = facts.size if facts.is_regular else 0
        head = f"{len(path)}:{path}:{facts.mode:o}:{owner}:{size}:{len(extra)}:"
        self._hash.update(os.fsencode(head) + extra)
