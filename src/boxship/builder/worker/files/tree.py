"""A file system to read from: the context, a stage, an image. All of it is hostile.

Two kinds keep it: a directory (`directory.py`) and an archive (`archive.py`). Neither follows a
link out of its root.
"""

import posixpath
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from boxship.builder.dockerfile.ignore import IgnoreRules, has_wildcards, match_path
from boxship.builder.worker.files.content import Content
from boxship.errors import BoxshipError, NotFoundError

Handle = TypeVar("Handle")
NO_RULES = IgnoreRules(())


class Facts(NamedTuple):
    """What is known of a file beside its content.

    Attributes:
        mode: type and permissions as in `st_mode`.
        mtime: nanoseconds since the epoch.
        identity: equal for all names of one file with several; None for the only name.
    """

    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    device: int = 0
    identity: tuple[int, int] | None = None

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_regular(self) -> bool:
        return stat.S_ISREG(self.mode)


class Found(NamedTuple, Generic[Handle]):
    """What a path led to; `release` it.

    Attributes:
        path: as it was asked for.
        real: where it is after links were followed, relative to the root, empty for the root.
    """

    path: str
    real: str
    facts: Facts
    handle: Handle


class Entry(NamedTuple, Generic[Handle]):
    """Something met on a walk, to be used before the walk goes on.

    Attributes:
        path: relative to where the walk began.
        parent: the directory it is in.
    """

    path: str
    name: str
    facts: Facts
    parent: Handle


class Absent(Exception):  # noqa: N818 - it is no error of its own: `Tree.find` words it
    """A path leads nowhere in the tree."""


class Tree(ABC, Generic[Handle]):
    """One root and what of it may be seen.

    Args:
        rules: what a `.dockerignore` hides.
        what: begins the message about a missing path.
    """

    def __init__(self, rules: IgnoreRules = NO_RULES, what: str = "") -> None:
        self._rules = rules
        self._what = what

    def find(self, path: str) -> Found[Handle]:
        """Resolve a path; links are followed inside the root.

        Raises:
            NotFoundError: it does not exist or is ignored.
            InvalidArgumentError: its links lead in a circle.
        """
        try:
            found = self._resolve(path)
        except Absent as absent:
            raise self._missing(path) from absent
        if self._hidden(found):
            self.release(found)
            raise self._missing(path)
        return found

    def match(self, path: str) -> list[str]:
        """The paths a source means: itself, or what its wildcards match, sorted."""
        if not has_wildcards(path):
            return [path]
        found = [""]
        for component in path.split("/"):
            found = [name for base in found for name in self._matching(base, component)]
        return sorted(name for name in found if self._visible(name))

    def walk(
        self, found: Found[Handle], excludes: IgnoreRules = NO_RULES
    ) -> Iterator[Entry[Handle]]:
        """Everything below a found directory, parents first, in the order of names.

        Directories that are hidden but hold something that is not come just before it.
        """
        return _Walk(self, found, self._rules, excludes).run()

    @abstractmethod
    def release(self, found: Found[Handle]) -> None:
        """Give back what `find` opened."""

    @abstractmethod
    def open(self, file: Found[Handle] | Entry[Handle]) -> Content:
        """The content of a regular file."""

    @abstractmethod
    def link_target(self, entry: Entry[Handle]) -> str:
        """The text of a symbolic link."""

    @abstractmethod
    def enter(self, directory: Found[Handle] | Entry[Handle]) -> Handle:
        """Open a directory for `entries`; the caller leaves it."""

    @abstractmethod
    def leave(self, handle: Handle) -> None:
        """Close what `enter` opened."""

    @abstractmethod
    def entries(self, handle: Handle) -> Iterable[tuple[str, Facts]]:
        """Names and facts in an entered directory, in any order."""

    @abstractmethod
    def _resolve(self, path: str) -> Found[Handle]:
        """Find a path whatever the rules say; raises Absent."""

    def _matching(self, base: str, pattern: str) -> Iterator[str]:
        if not has_wildcards(pattern):
            yield posixpath.join(base, pattern)
            return
        try:
            found = self._resolve(base or ".")
        except (Absent, BoxshipError):
            # What leads nowhere holds nothing that matches.
            return
        names: list[str] = []
        if found.facts.is_directory:
            handle = self.enter(found)
            names = [name for name, _ in self.entries(handle)]
            self.leave(handle)
        self.release(found)
        yield from (posixpath.join(base, name) for name in names if match_path(pattern, name))

    def _visible(self, path: str) -> bool:
        try:
            self.release(self.find(path))
        except BoxshipError:
            return False
        return True

    def _hidden(self, found: Found[Handle]) -> bool:
        """Whether rules hide a path, and for a directory all that is below it, too."""
        if not self._rules or not found.real or not self._rules.excludes(found.real):
            return False
        return not found.facts.is_directory or self._rules.prunes(found.real)

    def _missing(self, path: str) -> NotFoundError:
        return NotFoundError(f"{self._what}stat {path}: file does not exist")


class _Level(NamedTuple, Generic[Handle]):
    handle: Handle
    path: str
    entries: Iterator[tuple[str, Facts]]


class _Walk(Generic[Handle]):
    def __init__(
        self, tree: Tree[Handle], found: Found[Handle], rules: IgnoreRules, excludes: IgnoreRules
    ) -> None:
        self._tree = tree
        self._found = found
        self._rules = rules
        self._excludes = excludes
        self._checked = bool(rules) or bool(excludes)
        self._base = found.real + "/" if found.real else ""
        self._levels: list[_Level[Handle]] = []
        # Hidden directories on the way down, that are told of when something in them is not.
        self._pending: list[tuple[int, Entry[Handle]]] = []

    def run(self) -> Iterator[Entry[Handle]]:
        self._enter(self._found, "")
        try:
            while self._levels:
                yield from self._step()
        finally:
            for level in self._levels:
                self._tree.leave(level.handle)

    def _enter(self, directory: Found[Handle] | Entry[Handle], path: str) -> None:
        handle = self._tree.enter(directory)
        self._levels.append(_Level(handle, path, iter(sorted(self._tree.entries(handle)))))

    def _step(self) -> Iterator[Entry[Handle]]:
        level = self._levels[-1]
        listed = next(level.entries, None)
        if listed is None:
            self._tree.leave(level.handle)
            self._levels.pop()
            while self._pending and self._pending[-1][0] > len(self._levels):
                self._pending.pop()
            return
        name, facts = listed
        path = level.path + name
        entry = Entry(path, name, facts, level.handle)
        hidden = self._checked and self._is_hidden(path)
        if hidden and not (facts.is_directory and self._may_hold(path)):
            return
        if hidden:
            self._pending.append((len(self._levels) + 1, entry))
        else:
            yield from (waiting for _, waiting in self._pending)
            self._pending.clear()
            yield entry
        if facts.is_directory:
            self._enter(entry, path + "/")

    def _is_hidden(self, path: str) -> bool:
        return self._excludes.excludes(path) or self._rules.excludes(self._base + path)

    def _may_hold(self, path: str) -> bool:
        """Whether something below a hidden directory can be visible."""
        if self._excludes.excludes(path) and self._excludes.prunes(path):
            return False
        whole = self._base + path
        return not (self._rules.excludes(whole) and self._rules.prunes(whole))
