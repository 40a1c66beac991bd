"""Disk use of a tree."""

import os
from pathlib import Path
from typing import NamedTuple


class Usage(NamedTuple):
    """Bytes allocated on disk and number of inodes."""

    size: int
    inodes: int


def tree_usage(tree: Path) -> Usage:
    """Count a tree's blocks and inodes; hard links once, other file systems not at all."""
    top = os.lstat(tree)
    size, inodes = top.st_blocks * 512, 1
    linked: set[int] = set()
    pending = [os.fspath(tree)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                facts = entry.stat(follow_symlinks=False)
                if facts.st_dev != top.st_dev:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif facts.st_nlink > 1:
                    if facts.st_ino in linked:
                        continue
                    linked.add(facts.st_ino)
                size += facts.st_blocks * 512
                inodes += 1
    return Usage(size, inodes)
