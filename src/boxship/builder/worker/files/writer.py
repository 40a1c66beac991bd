"""Entries of a source written into a target, with the owner and mode an instruction asks for."""

import os
import posixpath
import stat
from typing import NamedTuple

from boxship.builder.worker.files.target import Target
from boxship.builder.worker.files.tree import Entry
from boxship.kernel import safepath

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Style(NamedTuple):
    """Owner and permission bits of what is written; None keeps the source's."""

    owner: tuple[int, int] | None
    mode: int | None

    def owner_of(self, facts: os.stat_result) -> tuple[int, int]:
        return self.owner if self.owner is not None else (facts.st_uid, facts.st_gid)

    def mode_of(self, facts: os.stat_result) -> int:
        return self.mode if self.mode is not None else stat.S_IMODE(facts.st_mode)


def write_file(
    target: Target, source: int, place: tuple[int, str], facts: os.stat_result, style: Style
) -> None:
    """Copy an open regular file to a name in an open directory; times are kept."""
    parent, name = place
    descriptor = target.create(parent, name, style.mode_of(facts), style.owner_of(facts))
    try:
        target.write(source, descriptor, facts.st_size)
        os.utime(descriptor, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    finally:
        os.close(descriptor)


class _Open(NamedTuple):
    """A directory of the target being filled; `facts` are the source's, to be taken over."""

    descriptor: int
    path: str
    facts: os.stat_result | None


class DirectoryWriter:
    """Writes the entries of a walk below one directory of the target.

    Entries come parents first, so the open directories form a stack. Times of directories are set
    when they are left, because filling them changes them.

    Args:
        top: descriptor of the directory, which this takes over.
        path: its path in the target, without a trailing `/`.
    """

    def __init__(self, target: Target, style: Style, top: int, path: str) -> None:
        self._target = target
        self._style = style
        self._base = path
        self._stack = [_Open(top, "", None)]
        self._links: dict[tuple[int, int], str] = {}

    def write(self, entry: Entry) -> None:
        """Write one entry.

        Raises:
            InvalidArgumentError: a directory stands where a file goes, or the other way round.
        """
        self._leave(posixpath.dirname(entry.path))
        parent = self._stack[-1].descriptor
        mode = entry.facts.st_mode
        if stat.S_ISDIR(mode):
            self._enter(parent, entry)
        elif stat.S_ISLNK(mode):
            self._link(parent, entry)
        elif stat.S_ISREG(mode):
            self._file(parent, entry)
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
                    times = (done.facts.st_atime_ns, done.facts.st_mtime_ns)
                    os.utime(f"/proc/self/fd/{done.descriptor}", ns=times)
            finally:
                os.close(done.descriptor)

    def _enter(self, parent: int, entry: Entry) -> None:
        descriptor, linked = self._target.enter(parent, entry.name, f"{self._base}/{entry.path}")
        if not linked:
            owner, mode = self._style.owner_of(entry.facts), self._style.mode_of(entry.facts)
            self._target.describe(descriptor, owner, mode)
        self._stack.append(_Open(descriptor, entry.path, None if linked else entry.facts))

    def _link(self, parent: int, entry: Entry) -> None:
        self._target.link(parent, entry.name, os.readlink(entry.name, dir_fd=entry.parent))
        self._finish(parent, entry)

    def _special(self, parent: int, entry: Entry) -> None:
        self._target.special(parent, entry.name, entry.facts, self._style.mode_of(entry.facts))
        self._finish(parent, entry)

    def _finish(self, parent: int, entry: Entry) -> None:
        owner = self._style.owner_of(entry.facts)
        os.chown(entry.name, *owner, dir_fd=parent, follow_symlinks=False)
        times = (entry.facts.st_atime_ns, entry.facts.st_mtime_ns)
        os.utime(entry.name, ns=times, dir_fd=parent, follow_symlinks=False)

    def _file(self, parent: int, entry: Entry) -> None:
        if entry.facts.st_nlink > 1 and self._hard_link(parent, entry):
            return
        source = os.open(entry.name, _READ, dir_fd=entry.parent)
        try:
            write_file(self._target, source, (parent, entry.name), entry.facts, self._style)
        finally:
            os.close(source)

    def _hard_link(self, parent: int, entry: Entry) -> bool:
        """Link to the copy of the same file made before; remember this one otherwise."""
        identity = (entry.facts.st_dev, entry.facts.st_ino)
        first = self._links.setdefault(identity, f"{self._base}/{entry.path}")
        if first == f"{self._base}/{entry.path}":
            return False
        directory, _, name = first.rpartition("/")
        holder = safepath.open_in_root(self._target.root, directory or "/", os.O_PATH)
        try:
            self._target.clear(parent, entry.name)
            os.link(name, entry.name, src_dir_fd=holder, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(holder)
        return True
