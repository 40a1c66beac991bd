"""Files, directories and nodes by descriptor, with errors that name call and path."""

import os

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


def make_node(directory: int, name: str, mode: int, device: int = 0) -> None:
    """Make a device, fifo or file; the mode holds the type and is not cut by the umask."""
    try:
        os.mknod(name, mode, device, dir_fd=directory)
        os.chmod(name, mode & 0o7777, dir_fd=directory)
    except OSError as error:
        raise KernelError(error.errno or 0, "mknod", name) from error


def make_link(directory: int, name: str, target: str) -> None:
    """Make a symbolic link (symlinkat(2))."""
    try:
        os.symlink(target, name, dir_fd=directory)
    except OSError as error:
        raise KernelError(error.errno or 0, "symlink", name) from error


def make_subdirectory(directory: int, name: str, mode: int) -> None:
    """Make a directory (mkdirat(2))."""
    try:
        os.mkdir(name, mode, dir_fd=directory)
    except OSError as error:
        raise KernelError(error.errno or 0, "mkdir", name) from error


def change_owner(directory: int, name: str, uid: int, gid: int) -> None:
    """Change the owner without following a link (fchownat(2))."""
    try:
        os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        raise KernelError(error.errno or 0, "chown", name) from error


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
