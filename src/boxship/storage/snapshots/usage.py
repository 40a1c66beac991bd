"""Disk use of a tree."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# What lies deeper is not counted: a container can nest directories without end, and each level
# takes a descriptor here. Real trees stay below 50.
_MAX_DEPTH = 200
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Usage(NamedTuple):
    """Bytes allocated on disk and number of inodes."""

    size: int
    inodes: int


def tree_usage(tree: Path) -> Usage:
    """Count a tree's blocks and inodes; hard links once, other file systems not at all.

    The tree may change meanwhile, as a running container's does: what vanishes is not counted, and
    a directory that becomes a link is not followed.

    Raises:
        OSError: there is no such tree, or it cannot be read.
    """
    top = os.open(tree, _DIRECTORY)
    facts = os.fstat(top)
    size, inodes = facts.st_blocks * 512, 1
    linked: set[int] = set()
    for found in _walk(top, facts.st_dev, 0):
        if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            if found.st_ino in linked:
                continue
            linked.add(found.st_ino)
        size += found.st_blocks * 512
        inodes += 1
    return Usage(size, inodes)


def _walk(directory: int, device: int, depth: int) -> Iterator[os.stat_result]:
    """The facts of all below a directory, whose descriptor is closed at the end."""
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    facts = entry.stat(follow_symlinks=False)
                    if facts.st_dev != device:
                        continue
                    below = -1
                    if stat.S_ISDIR(facts.st_mode) and depth < _MAX_DEPTH:
                        below = os.open(entry.name, _DIRECTORY, dir_fd=directory)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                yield facts
                if below >= 0:
                    yield from _walk(below, device, depth + 1)
    finally:
        os.close(directory)
