"""A file system to read from: the context, a stage, an image. All of it is hostile.

Paths are resolved by the kernel inside the root (openat2), directories are walked by descriptors
without following links, so no link in the tree reaches anything outside of it.
"""

import errno
import os
import posixpath
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from boxship.builder.dockerfile.ignore import IgnoreRules, has_wildcards, match_path
from boxship.errors import InvalidArgumentError
from boxship.kernel import safepath

_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NO_RULES = IgnoreRules(())


class Entry(NamedTuple):
    """Something met on a walk.

    Attributes:
        path: relative to where the walk began.
        parent: descriptor of its directory, open until the walk goes on.
    """

    path: str
    name: str
    parent: int
    facts: os.stat_result


class Found(NamedTuple):
    """What a source path resolved to; `descriptor` (O_PATH) is the caller's to close.

    Attributes:
        path: the path that was asked for.
        real: where it is after links were followed, relative to the root.
    """

    path: str
    real: str
    descriptor: int
    facts: os.stat_result


def place_of(descriptor: int) -> str:
    """The path of an open file, as the kernel knows it (proc(5), /proc/pid/fd)."""
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


class Tree:
    """One root and what of it may be seen.

    Args:
        root: descriptor of the root directory.
        rules: what a `.dockerignore` hides.
        what: begins the message about a missing path.
    """

    def __init__(self, root: int, rules: IgnoreRules = NO_RULES, what: str = "") -> None:
        self.root = root
        self._rules = rules
        self._what = what
        self._place = place_of(root).rstrip("/")

    def find(self, path: str) -> Found:
        """Resolve a path; links are followed inside the root.

        Raises:
            InvalidArgumentError: it does not exist, is ignored, or loops.
        """
        try:
            descriptor = safepath.open_in_root(self.root, path, os.O_PATH)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                raise self._missing(path) from error
            raise InvalidArgumentError(f"stat {path}: {error.strerror}") from error
        real = place_of(descriptor).removeprefix(self._place).strip("/")
        facts = os.fstat(descriptor)
        if self._hidden(real, facts):
            os.close(descriptor)
            raise self._missing(path)
        return Found(path, real, descriptor, facts)

    def match(self, path: str) -> list[str]:
        """The paths a source means: itself, or what its wildcards match, sorted."""
        if not has_wildcards(path):
            return [path]
        found = [""]
        for component in path.split("/"):
            found = [name for base in found for name in self._matching(base, component)]
        return sorted(name for name in found if self._visible(name))

    def _matching(self, base: str, pattern: str) -> Iterator[str]:
        if not has_wildcards(pattern):
            yield posixpath.join(base, pattern)
            return
        try:
            directory = safepath.open_in_root(self.root, base or ".", os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return
        try:
            names = os.listdir(directory)  # noqa: PTH208 - of a descriptor
        finally:
            os.close(directory)
        yield from (posixpath.join(base, name) for name in names if match_path(pattern, name))

    def walk(self, found: Found, excludes: IgnoreRules = NO_RULES) -> Iterator[Entry]:
        """Everything below a found directory, parents first, in the order of names.

        Directories that are hidden but hold something that is not come just before it.
        """
        walker = _Walker(found, self._rules, excludes)
        return walker.run()

    def _visible(self, path: str) -> bool:
        try:
            os.close(self.find(path).descriptor)
        except InvalidArgumentError:
            return False
        return True

    def _hidden(self, real: str, facts: os.stat_result) -> bool:
        """Whether rules hide a path, and for a directory all that is below it, too."""
        if not self._rules or not real or not self._rules.excludes(real):
            return False
        return not stat.S_ISDIR(facts.st_mode) or self._rules.prunes(real)

    def _missing(self, path: str) -> InvalidArgumentError:
        return InvalidArgumentError(f"{self._what}stat {path}: file does not exist")


class _Level(NamedTuple):
    descriptor: int
    path: str
    entries: Iterator[os.DirEntry[str]]


class _Walker:
    def __init__(self, found: Found, rules: IgnoreRules, excludes: IgnoreRules) -> None:
        self._found = found
        self._rules = rules
        self._excludes = excludes
        self._checked = bool(rules) or bool(excludes)
        self._base = found.real + "/" if found.real else ""
        self._levels: list[_Level] = []
        # Hidden directories on the way down, that are told of when something in them is not.
        self._pending: list[tuple[int, Entry]] = []

    def run(self) -> Iterator[Entry]:
        top = os.open(f"/proc/self/fd/{self._found.descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        self._enter(top, "")
        try:
            while self._levels:
                yield from self._step()
        finally:
            for level in self._levels:
                os.close(level.descriptor)

    def _enter(self, descriptor: int, path: str) -> None:
        with os.scandir(descriptor) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        self._levels.append(_Level(descriptor, path, iter(entries)))

    def _step(self) -> Iterator[Entry]:
        level = self._levels[-1]
        listed = next(level.entries, None)
        if listed is None:
            os.close(level.descriptor)
            self._levels.pop()
            while self._pending and self._pending[-1][0] > len(self._levels):
                self._pending.pop()
            return
        path = f"{level.path}{listed.name}"
        facts = listed.stat(follow_symlinks=False)
        entry = Entry(path, listed.name, level.descriptor, facts)
        is_directory = stat.S_ISDIR(facts.st_mode)
        hidden = self._checked and self._is_hidden(path)
        if hidden and not (is_directory and self._may_hold(path)):
            return
        if hidden:
            self._pending.append((len(self._levels) + 1, entry))
        else:
            yield from (waiting for _, waiting in self._pending)
            self._pending.clear()
            yield entry
        if is_directory:
            self._enter(os.open(listed.name, _LIST, dir_fd=level.descriptor), path + "/")

    def _is_hidden(self, path: str) -> bool:
        return self._excludes.excludes(path) or self._rules.excludes(self._base + path)

    def _may_hold(self, path: str) -> bool:
        """Whether something below a hidden directory can be visible."""
        if self._excludes.excludes(path) and self._excludes.prunes(path):
            return False
        whole = self._base + path
        return not (self._rules.excludes(whole) and self._rules.prunes(whole))
