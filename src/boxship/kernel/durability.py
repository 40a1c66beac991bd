"""What reaches the disk, and which boot of the host this is."""

import os

from boxship.kernel import foreign as ctypes
from boxship.kernel._libc import check, declare

_syncfs = declare("syncfs", ctypes.c_int)

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def sync_file_system(directory: str) -> None:
    """Write the whole file system of a directory to its disk, and wait (syncfs(2)).

    Raises:
        KernelError: the disk failed; since kernel 5.8 also for what was written back before.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        check(_syncfs(descriptor), "syncfs", directory)
    finally:
        os.close(descriptor)


def boot_id() -> str:
    """A name of this boot of the host, which no other boot has (random(4))."""
    with open(_BOOT_ID, encoding="ascii") as file:  # noqa: PTH123 - pathlib is slow to import
        return file.read().strip()
