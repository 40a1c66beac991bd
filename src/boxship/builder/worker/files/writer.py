"""Entries of a tree written into a target, with the owner and mode an instruction asks for."""

import os
import posixpath
import stat
from typing import Generic, NamedTuple

from boxship.builder.worker.files.content import Content
from boxship.builder.worker.files.target import Target
from boxship.builder.worker.files.tree import Entry, Facts, Handle, Tree
from boxship.builder.worker.files.xattrs import set_xattrs
from boxship.kernel import safepath


class Style(NamedTuple):
    """Owner and permission bits of what is written; None keeps the source's."""

    owner: tuple[int, int] | None
    mode: int | None

    def owner_of(self, facts: Facts) -> tuple[int, int]:
        return self.owner if self.owner is not None else (facts.uid, facts.gid)

    def mode_of(self, facts: Facts) -> int:
        return self.mode if self.mode is not None else stat.S_IMODE(facts.mode)


def write_file(
    target: Target, content: Content, place: tuple[int, str], facts: Facts, style: Style
) -> None:
    """Copy a regular file to a name in an open directory; its time is kept."""
    parent, name = place
    descriptor = target.create(parent, name, style.mode_of(facts), style.owner_of(facts))
    try:
        set_xattrs(descriptor, content.xattrs())
        content.copy(descriptor)
        os.utime(descriptor, ns=(facts.mtime, facts.mtime))
    finally:
        os.close(descriptor)


class _Open(NamedTuple):
    """A directory of the target being filled; `facts` are the source's, to be taken over."""

    descriptor: int
    path: str
    facts: Facts | None


class DirectoryWriter(Generic[Handle]):
    """Writes the entries of a walk below one directory of the target.

    Entries come parents first, so the open directories form a stack. Times of directories are set
    when they are left, because filling them changes them.

    Args:
        tree: what is walked.
        target: where to.
        style: owner and mode.
        top: descriptor of the directory, which this takes over.
        path: its path in the target, without a trailing `/`.
    """

    def __init__(
        self, tree: Tree[Handle], target: Target, style: Style, top: int, path: str
    ) -> None:
        self._tree = tree
        self._target = target
        self._style = style
        self._base = path
        self._stack = [_Open(top, "", None)]
        self._links: dict[tuple[int, int], str] = {}

    def write(self, entry: Entry[Handle]) -> None:
        """Write one entry.

        Raises:
            InvalidArgumentError: a directory stands where a file goes, or the other way round.
        """
        self._leave(posixpath.dirname(entry.path))
        parent = self._stack[-1].descriptor
        mode = entry.facts.mode
        if stat.S_ISREG(mode):
            self._file(parent, entry)
        elif stat.S_ISDIR(mode):
            self._enter(parent, entry)
        elif stat.S_ISLNK(mode):
            self._link(parent, entry)
        elif not stat.S_ISSOCK(mode):
            # A socket without its process is of no use, and tar cannot hold one.
            self._special(parent, entry)

    def close(self) -> None:
        self._leave(None)

    def _leave(self, until: str | None) -> None:
        while self._stack and (until is None or self._stack[-1].path != until):
            done = self._stack.pop()
            try:
                if done.facts is not None:
                    times = (done.facts.mtime, done.facts.mtime)
                    os.utime(f"/proc/self/fd/{done.descriptor}", ns=times)
            finally:
                os.close(done.descriptor)

    def _enter(self, parent: int, entry: Entry[Handle]) -> None:
        descriptor, linked = self._target.enter(parent, entry.name, f"{self._base}/{entry.path}")
        if not linked:
            owner, mode = self._style.owner_of(entry.facts), self._style.mode_of(entry.facts)
            self._target.describe(descriptor, owner, mode)
        self._stack.append(_Open(descriptor, entry.path, None if linked else entry.facts))

    def _link(self, parent: int, entry: Entry[Handle]) -> None:
        self._target.link(parent, entry.name, self._tree.link_target(entry))
        self._finish(parent, entry)

    def _special(self, parent: int, entry: Entry[Handle]) -> None:
        self._target.special(parent, entry.name, entry.facts, self._style.mode_of(entry.facts))
        self._finish(parent, entry)

    def _finish(self, parent: int, entry: Entry[Handle]) -> None:
        owner = self._style.owner_of(entry.facts)
        os.chown(entry.name, *owner, dir_fd=parent, follow_symlinks=False)
        times = (entry.facts.mtime, entry.facts.mtime)
        os.utime(entry.name, ns=times, dir_fd=parent, follow_symlinks=False)

    def _file(self, parent: int, entry: Entry[Handle]) -> None:
        if entry.facts.identity is not None and self._hard_link(parent, entry):
            return
        content = self._tree.open(entry)
        try:
            write_file(self._target, content, (parent, entry.name), entry.facts, self._style)
        finally:
            content.close()

    def _hard_link(self, parent: int, entry: Entry[Handle]) -> bool:
        """Link to the copy of the same file made before; remember this one otherwise."""
        if entry.facts.identity is None:
            return False
        path = f"{self._base}/{entry.path}"
        first = self._links.setdefault(entry.facts.identity, path)
        if first == path:
            return False
        directory, _, name = first.rpartition("/")
        holder = safepath.open_in_root(self._target.root, directory or "/", os.O_PATH)
        try:
            self._target.clear(parent, entry.name)
            os.link(name, entry.name, src_dir_fd=holder, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(holder)
        return True
