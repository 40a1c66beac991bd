"""What COPY and ADD do with one source: Docker's rules of files, directories and destinations.

Dockerfile reference, "COPY": of a directory the contents are copied; a file goes into a
destination that is a directory or ends with `/`, and becomes the destination otherwise; whatever
is missing on the way is made.
"""

import os
import posixpath
import stat
import time
from pathlib import Path
from typing import NamedTuple

from boxship.builder.dockerfile.ignore import IgnoreRules
from boxship.builder.worker.files.archives import is_archive
from boxship.builder.worker.files.target import Target
from boxship.builder.worker.files.tree import Found, Tree, place_of
from boxship.builder.worker.files.writer import DirectoryWriter, Style, write_file
from boxship.errors import InvalidArgumentError
from boxship.kernel import safepath
from boxship.storage.diff.unpack import unpack_archive

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class Rules(NamedTuple):
    """How everything of one instruction is copied.

    Attributes:
        destination: absolute; a trailing `/` says it is a directory.
        owner: of everything; None keeps the source's (directories on the way get 0:0).
        mode: of files and directories; None keeps the source's.
        excludes: patterns, relative to each source.
        parents: keep the directories of the source path (behind a `/./`, if there is one).
        unpack: extract sources that are archives.
        target: path of the target's root, for the archive extractor.
        keyword: COPY or ADD, for messages.
    """

    destination: str
    owner: tuple[int, int] | None
    mode: int | None
    excludes: tuple[str, ...]
    parents: bool
    unpack: bool
    target: str
    keyword: str


class Deferred(NamedTuple):
    """Contents of a directory to be written when the target is not mounted any more.

    Attributes:
        found: the source; its descriptor is the holder's to close.
        place: the new and empty directory, relative to the target's root.
    """

    tree: Tree
    found: Found
    place: str


class Copier:
    """Carries out the sources of one instruction in their order.

    Args:
        target: where to.
        rules: how.
        defer: leave the contents of a directory that had to be made for the caller to write.

    Attributes:
        deferred: what was left.
    """

    def __init__(self, target: Target, rules: Rules, *, defer: bool = False) -> None:
        self._target = target
        self._defer = defer
        self.deferred: list[Deferred] = []
        self._rules = rules
        self._excludes = IgnoreRules(rules.excludes)
        self._made = rules.owner or (0, 0)
        self._style = Style(rules.owner, rules.mode)

    def tree(self, tree: Tree, path: str) -> None:
        """Copy one source path, or what its wildcards match.

        Raises:
            InvalidArgumentError: it does not exist, or something is in the way.
        """
        names = tree.match(posixpath.normpath(path))
        if not names:
            raise InvalidArgumentError(
                f"{self._rules.keyword} failed: no source files were specified"
            )
        if len(names) > 1 and not (self._rules.destination.endswith("/") or self._rules.parents):
            raise InvalidArgumentError(
                f"When using {self._rules.keyword} with more than one source file, the "
                "destination must be a directory and end with a /"
            )
        for name in names:
            found = tree.find(name)
            try:
                self._source(tree, found, self._destination(path, name))
            finally:
                os.close(found.descriptor)

    def inline(self, name: str, content: str) -> None:
        """Write a file whose content stands in the Dockerfile."""
        parent, final = self._file_place(self._rules.destination, name)
        try:
            mode = 0o644 if self._rules.mode is None else self._rules.mode
            descriptor = self._target.create(parent, final, mode, self._made)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content.encode())
        finally:
            os.close(parent)

    def fetched(self, path: str, name: str, modified: int, *, unpack: bool) -> None:
        """Copy a file that was downloaded: mode 0600 unless told, its server's time (0: now)."""
        source = os.open(path, _READ)
        try:
            if unpack and is_archive(source):
                self._unpack(source, self._rules.destination)
                return
            parent, final = self._file_place(self._rules.destination, name)
            try:
                mode = 0o600 if self._rules.mode is None else self._rules.mode
                style = Style(self._made, mode)
                write_file(self._target, source, (parent, final), os.fstat(source), style)
                stamp = modified * 10**9 or time.time_ns()
                os.utime(final, ns=(stamp, stamp), dir_fd=parent, follow_symlinks=False)
            finally:
                os.close(parent)
        finally:
            os.close(source)

    def _destination(self, path: str, name: str) -> str:
        """Where this match goes: with `--parents` below the directories it came from."""
        if not self._rules.parents:
            return self._rules.destination
        before, pivot, _ = path.removeprefix("./").partition("/./")
        depth = posixpath.normpath(before).count("/") + 1 if pivot else 0
        kept = "/".join(name.split("/")[depth:])
        directory = posixpath.normpath("/" + posixpath.dirname(kept)).strip("/")
        base = self._rules.destination.rstrip("/") + "/"
        return base + (directory + "/" if directory else "")

    def _source(self, tree: Tree, found: Found, destination: str) -> None:
        name = posixpath.basename(found.path)
        if stat.S_ISDIR(found.facts.st_mode):
            inside = self._rules.parents and name not in ("", ".")
            self._directory(tree, found, destination + name if inside else destination)
            return
        if self._excludes and self._excludes.excludes(name):
            return
        if not stat.S_ISREG(found.facts.st_mode):
            raise InvalidArgumentError(
                f"{self._rules.keyword} failed: {found.path} is neither a file nor a directory"
            )
        source = os.open(f"/proc/self/fd/{found.descriptor}", _READ)
        try:
            self._file(source, found, destination, name)
        finally:
            os.close(source)

    def _file(self, source: int, found: Found, destination: str, name: str) -> None:
        if self._rules.unpack and is_archive(source):
            self._unpack(source, destination)
            return
        parent, final = self._file_place(destination, name)
        try:
            write_file(self._target, source, (parent, final), found.facts, self._style)
        finally:
            os.close(parent)

    def _directory(self, tree: Tree, found: Found, destination: str) -> None:
        path = destination.rstrip("/")
        top, new = self._target.directory(path or "/", self._made)
        if new and self._defer:
            place = place_of(top).removeprefix(place_of(self._target.root).rstrip("/"))
            kept = found._replace(descriptor=os.dup(found.descriptor))
            self.deferred.append(Deferred(tree, kept, place.lstrip("/")))
            os.close(top)
            return
        self._fill(tree, found, DirectoryWriter(self._target, self._style, top, path))

    def write_deferred(self, upper: int) -> None:
        """Write what was left into the upper directory of the target, which is unmounted by now.

        A third faster than through the overlay, and as good: below a directory that is new there
        is nothing to merge with, and nothing but what is written here.
        """
        for tree, found, place in self.deferred:
            try:
                top = safepath.open_in_root(upper, place, os.O_PATH | os.O_DIRECTORY)
                self._fill(tree, found, DirectoryWriter(Target(top), self._style, top, ""))
            finally:
                os.close(found.descriptor)

    def _fill(self, tree: Tree, found: Found, writer: DirectoryWriter) -> None:
        try:
            for entry in tree.walk(found, self._excludes):
                writer.write(entry)
        finally:
            writer.close()

    def _unpack(self, source: int, destination: str) -> None:
        os.close(self._target.directory(destination, self._made)[0])
        with os.fdopen(os.dup(source), "rb") as stream:
            stream.seek(0)
            unpack_archive(stream, Path(self._rules.target), destination=destination, devices=True)

    def _file_place(self, destination: str, name: str) -> tuple[int, str]:
        """The directory (open) and the name that a file source gets.

        A link at the destination is followed, as cp(1) does, but only inside the target.
        """
        if destination.endswith("/") or self._target.is_directory(destination):
            return self._target.directory(destination, self._made)[0], name
        parent, _, final = self._target.follow(destination).rpartition("/")
        return self._target.directory(parent or "/", self._made)[0], final
