"""Volumes in memory: a tmpfs on the volume's directory while containers use it."""

import errno
from pathlib import Path

from boxship.kernel import abi
from boxship.kernel._libc import KernelError
from boxship.kernel.mounts import mount, umount

_FLAGS = abi.MS_NOSUID | abi.MS_NODEV


def mount_tmpfs(directory: Path, options: str) -> None:
    """Mount a tmpfs there, unless one is there already.

    Raises:
        KernelError: an option is wrong, or memory is short.
    """
    if not directory.is_mount():
        mount("tmpfs", str(directory), "tmpfs", _FLAGS, options)


def unmount_tmpfs(directory: Path) -> None:
    """Take the tmpfs away with what is in it; nothing to do when there is none."""
    try:
        umount(str(directory), abi.MNT_DETACH)
    except KernelError as failure:
        if failure.errno not in (errno.EINVAL, errno.ENOENT):
            raise
