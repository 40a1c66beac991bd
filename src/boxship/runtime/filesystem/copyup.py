"""Fill a fresh tmpfs with the directory it is going to hide (the `tmpcopyup` mount option)."""

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_CHUNK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_up(source: int, target: int, given: "Mapping[str, str | None]") -> None:
    """Copy a directory with owners, modes, times and extended attributes.

    Device nodes are left out where none can be made, and attributes that a tmpfs cannot have.

    Args:
        source: descriptor of the directory to read.
        target: descriptor of the empty directory to fill.
        given: mount options by name; an owner or a mode among them stays as it was asked for.

    Raises:
        OSError: out of space, or something cannot be read.
    """
    # O_PATH descriptors cannot be listed.
    source = os.open(".", _DIRECTORY, dir_fd=source)
    target = os.open(".", _DIRECTORY, dir_fd=target)
    try:
        looks = os.fstat(target)
        _same_looks(source, target)
        if "uid" in given or "gid" in given:
            os.fchown(
                target,
                looks.st_uid if "uid" in given else -1,
                looks.st_gid if "gid" in given else -1,
            )
        if "mode" in given:
            os.fchmod(target, stat.S_IMODE(looks.st_mode))
        for name in os.listdir(source):  # noqa: PTH208 - of a descriptor
            _copy(name, source, target)
    finally:
        os.close(source)
        os.close(target)


def _copy(name: str, source: int, target: int) -> None:
    found = os.stat(name, dir_fd=source, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
    elif stat.S_ISDIR(found.st_mode):
        os.mkdir(name, dir_fd=target)
        inner = os.open(name, _DIRECTORY, dir_fd=source)
        copied = os.open(name, _DIRECTORY, dir_fd=target)
        copy_up(inner, copied, {})
        os.close(inner)
        os.close(copied)
    elif stat.S_ISREG(found.st_mode):
        _copy_file(name, source, target)
    else:
        _copy_node(name, found, target)


def _copy_node(name: str, found: os.stat_result, target: int) -> None:
    try:
        os.mknod(name, found.st_mode, found.st_rdev, dir_fd=target)
    except PermissionError:
        # A device, in a user namespace.
        return
    os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)


def _copy_file(name: str, source: int, target: int) -> None:
    # Without O_NONBLOCK a FIFO put in its place meanwhile would hold this up for ever.
    looking = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    reading = os.open(name, looking, dir_fd=source)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    writing = os.open(name, flags, 0o600, dir_fd=target)
    try:
        while chunk := os.read(reading, _CHUNK):
            while chunk:
                chunk = chunk[os.write(writing, chunk) :]
        _same_looks(reading, writing)
    finally:
        os.close(reading)
        os.close(writing)


def _same_looks(original: int, copy: int) -> None:
    found = os.fstat(original)
    os.fchown(copy, found.st_uid, found.st_gid)
    os.fchmod(copy, stat.S_IMODE(found.st_mode))
    # After the owner, whose change would take a file's capabilities away.
    for name in os.listxattr(original):
        try:
            os.setxattr(copy, name, os.getxattr(original, name))
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL):
                raise
    os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))
