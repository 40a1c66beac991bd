"""A file system for each engine, so that what one deletes does not slow down another.

ext4 does not use an inode again for minutes after its deletion and looks past it: an engine that
makes and deletes 5,000 files would make everybody else on the file system several times slower.
"""

import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

_SIZE = "30G"
"""Of a sparse file: it takes what is written."""


def own_disk(stack: ExitStack, directory: Path) -> str:
    """Make a directory that is an ext4 of its own until the stack ends.

    Returns:
        Why it is an ordinary directory instead, or an empty string.
    """
    directory.mkdir()
    if shutil.which("mkfs.ext4") is None:
        return "mkfs.ext4 is not installed"
    image = directory.with_suffix(".ext4")
    for argv in (
        ["truncate", "-s", _SIZE, str(image)],
        ["mkfs.ext4", "-q", "-E", "lazy_itable_init=1,lazy_journal_init=1", str(image)],
        ["mount", "-o", "loop", str(image), str(directory)],
    ):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            image.unlink(missing_ok=True)
            return done.stderr.strip() or f"{argv[0]} failed"
    # Lazily: what an engine left behind may end a moment later.
    stack.callback(subprocess.run, ["umount", "-l", str(directory)], check=False)
    return ""
