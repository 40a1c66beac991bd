"""What COPY and ADD do with one source: Docker's rules of files, directories and destinations.

Dockerfile reference, "COPY": of a directory the contents are copied; a file goes into a
destination that is a directory or ends with `/`, and becomes the destination otherwise; whatever
is missing on the way is made.
"""

import os
import posixpath
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from boxship.builder.dockerfile.ignore import IgnoreRules
from boxship.builder.worker.files.content import Content, FileContent
from boxship.builder.worker.files.directory import facts_of, place_of
from boxship.builder.worker.files.recognise import HEAD, is_archive
from boxship.builder.worker.files.target import Target
from boxship.builder.worker.files.tree import Found, Tree
from boxship.builder.worker.files.writer import DirectoryWriter, Style, write_file
from boxship.errors import InvalidArgumentError
from boxship.kernel import safepath
from boxship.storage.diff.unpack import unpack_archive

AnyTree = Tree[Any]
AnyFound = Found[Any]


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
        path: of the source in its tree.
        place: the new and empty directory, relative to the target's root.
    """

    tree: AnyTree
    path: str
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

    def tree(self, tree: AnyTree, path: str) -> None:
        """Copy one source path, or what its wildcards match.

        Raises:
            NotFoundError: it does not exist.
            InvalidArgumentError: something is in the way.
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
            with _found(tree, name) as found:
                self._source(tree, found, self._destination(path, name))

    def inline(self, name: str, content: str) -> None:
        """Write a file whose content stands in the Dockerfile."""
        mode = 0o644 if self._rules.mode is None else self._rules.mode
        with self._place(self._rules.destination, name) as (parent, final):
            descriptor = self._target.create(parent, final, mode, self._made)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content.encode())

    def fetched(self, path: str, name: str, modified: int, *, unpack: bool) -> None:
        """Copy a file that was downloaded: mode 0600 unless told, its server's time (0: now)."""
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        stamp = modified * 10**9 or time.time_ns()
        facts = facts_of(os.fstat(source))._replace(mtime=stamp)
        mode = 0o600 if self._rules.mode is None else self._rules.mode
        content = FileContent(source, facts.size)
        try:
            if unpack and is_archive(content.head(HEAD)):
                self._unpack(content, self._rules.destination)
                return
            with self._place(self._rules.destination, name) as place:
                write_file(self._target, content, place, facts, Style(self._made, mode))
        finally:
            content.close()

    def write_deferred(self, upper: int) -> None:
        """Write what was left into the upper directory of the target, which is unmounted by now.

        A third faster than through the overlay, and as good: below a directory that is new there
        is nothing to merge with, and nothing but what is written here.
        """
        for tree, path, place in self.deferred:
            top = safepath.open_in_root(upper, place, os.O_PATH | os.O_DIRECTORY)
            with _found(tree, path) as found:
                writer = DirectoryWriter(tree, Target(top), self._style, top, "")
                self._fill(tree, found, writer)

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

    def _source(self, tree: AnyTree, found: AnyFound, destination: str) -> None:
        name = posixpath.basename(found.path)
        if found.facts.is_directory:
            inside = self._rules.parents and name not in ("", ".")
            self._directory(tree, found, destination + name if inside else destination)
            return
        if self._excludes and self._excludes.excludes(name):
            return
        if not found.facts.is_regular:
            raise InvalidArgumentError(
                f"{self._rules.keyword} failed: {found.path} is neither a file nor a directory"
            )
        content = tree.open(found)
        try:
            if self._rules.unpack and is_archive(content.head(HEAD)):
                self._unpack(content, destination)
                return
            with self._place(destination, name) as place:
                write_file(self._target, content, place, found.facts, self._style)
        finally:
            content.close()

    def _directory(self, tree: AnyTree, found: AnyFound, destination: str) -> None:
        path = destination.rstrip("/")
        top, new = self._target.directory(path or "/", self._made)
        if new and self._defer:
            place = place_of(top).removeprefix(place_of(self._target.root).rstrip("/"))
            self.deferred.append(Deferred(tree, found.path, place.lstrip("/")))
            os.close(top)
            return
        writer = DirectoryWriter(tree, self._target, self._style, top, path)
        self._fill(tree, found, writer)

    def _fill(self, tree: AnyTree, found: AnyFound, writer: "DirectoryWriter[Any]") -> None:
        try:
            for entry in tree.walk(found, self._excludes):
                writer.write(entry)
        finally:
            writer.close()

    def _unpack(self, content: Content, destination: str) -> None:
        os.close(self._target.directory(destination, self._made)[0])
        with content.stream() as stream:
            unpack_archive(stream, Path(self._rules.target), destination=destination, devices=True)

    @contextmanager
    def _place(self, destination: str, name: str) -> Iterator[tuple[int, str]]:
        """The open directory and the name that a file source gets, for the length of the block."""
        parent, final = self._file_place(destination, name)
        try:
            yield parent, final
        finally:
            os.close(parent)

    def _file_place(self, destination: str, name: str) -> tuple[int, str]:
        """A link at the destination is followed, as cp(1) does, but only inside the target."""
        if destination.endswith("/") or self._target.is_directory(destination):
            return self._target.directory(destination, self._made)[0], name
        parent, _, final = self._target.follow(destination).rpartition("/")
        return self._target.directory(parent or "/", self._made)[0], final


@contextmanager
def _found(tree: AnyTree, path: str) -> Iterator[AnyFound]:
    found = tree.find(path)
    try:
        yield found
    finally:
        tree.release(found)
