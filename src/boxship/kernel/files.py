"""Files, directories and nodes by descriptor, with errors that name call and path."""

import errno
import os
import stat

from boxship.kernel._libc import KernelError


def open_file(path: str, flags: int, mode: int = 0) -> int:
    """Open a file by open(2), close-on-exec."""
    try:
        return os.open(path, flags | os.O_CLOEXEC, mode)
    except OSError as error:
        raise KernelError(error.errno or 0, "open", path) from error


def close(descriptor: int) -> None:
    """Give a descriptor up."""
    os.close(descriptor)


def write_text(path: str, text: str) -> None:
    """Write a whole value to an existing file of /proc or /sys in one call."""
    descriptor = open_file(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        raise KernelError(error.errno or 0, "write", path) from error
    finally:
        os.close(descriptor)


def read_link(path: str) -> str:
    """Where a symbolic or magic link leads (readlink(2))."""
    try:
        return os.readlink(path)  # noqa: PTH115 - pathlib is slow to import
    except OSError as error:
        raise KernelError(error.errno or 0, "readlink", path) from error


def file_mode(descriptor: int) -> int:
    """st_mode of an open file, O_PATH descriptors too."""
    return os.fstat(descriptor).st_mode


def file_identity(descriptor: int) -> tuple[int, int]:
    """Device and inode number of an open file, O_PATH descriptors too: equal for the same file."""
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def file_status(descriptor: int) -> os.stat_result:
    """What fstat(2) says of an open file, O_PATH descriptors too."""
    return os.fstat(descriptor)


def make_node(
    directory: int,
    name: str,
    mode: int,
    device: int = 0,
    owner: tuple[int, int] = (0, 0),
) -> None:
    """Make a device, fifo or file of an owner.

    Somebody else may have put a link in its place at once, so the name is not looked up again.

    Args:
        directory: descriptor of the directory.
        name: in it.
        mode: type and permissions; they are not cut by the umask.
        device: number as os.makedev makes it.
        owner: user and group; (0, 0) leaves them as they are made.
    """
    try:
        os.mknod(name, mode, device, dir_fd=directory)
        made = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            _dress(made, mode, device, owner)
        finally:
            os.close(made)
    except OSError as error:
        raise KernelError(error.errno or 0, "mknod", name) from error


def _dress(made: int, mode: int, device: int, owner: tuple[int, int]) -> None:
    found = os.fstat(made)
    if stat.S_IFMT(found.st_mode) != stat.S_IFMT(mode) or found.st_rdev != device:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    # The calls that take a descriptor refuse an O_PATH one (open(2)).
    path = f"/proc/self/fd/{made}"
    if owner != (0, 0):
        os.chown(path, *owner)
    if found.st_mode != mode or owner != (0, 0):
        # After the owner, whose change takes set-id bits away.
        os.chmod(path, stat.S_IMODE(mode))  # noqa: PTH101 - pathlib is slow to import


def make_link(directory: int, name: str, target: str) -> None:
    """Make a symbolic link (symlinkat(2))."""
    try:
        os.symlink(target, name, dir_fd=directory)
    except OSError as error:
        raise KernelError(error.errno or 0, "symlink", name) from error


def remove_file(directory: int, name: str) -> None:
    """Remove a file, link or node (unlinkat(2))."""
    try:
        os.unlink(name, dir_fd=directory)
    except OSError as error:
        raise KernelError(error.errno or 0, "unlink", name) from error


def make_subdirectory(directory: int, name: str, mode: int) -> None:
    """Make a directory (mkdirat(2))."""
    try:
        os.mkdir(name, mode, dir_fd=directory)
    except OSError as error:
        raise KernelError(error.errno or 0, "mkdir", name) from error


def change_directory(path: str) -> None:
    """Make a path the working directory (chdir(2))."""
    try:
        os.chdir(path)
    except OSError as error:
        raise KernelError(error.errno or 0, "chdir", path) from error


def enter_directory(descriptor: int) -> None:
    """Make an open directory the working directory (fchdir(2))."""
    try:
        os.fchdir(descriptor)
    except OSError as error:
        raise KernelError(error.errno or 0, "fchdir", str(descriptor)) from error


def change_root(path: str) -> None:
    """Make a path this process's root (chroot(2))."""
    try:
        os.chroot(path)
    except OSError as error:
        raise KernelError(error.errno or 0, "chroot", path) from error
