"""Paths inside a root that cannot be trusted: resolved by the kernel as if chrooted (openat2).

A symbolic link in an image, absolute or with `..`, stays inside the root; magic links of /proc are
refused. Results are descriptors, so that nothing can be swapped between check and use. Every
function takes the root's descriptor and closes what it opens on failure.
"""

import ctypes
import errno
import os

from boxship.kernel import abi
from boxship.kernel._libc import KernelError, check, declare

_openat2 = declare(
    "syscall",
    ctypes.c_long,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.POINTER(abi.OpenHow),
    ctypes.c_size_t,
)
_HOW_SIZE = ctypes.sizeof(abi.OpenHow)
_IN_ROOT = abi.RESOLVE_IN_ROOT | abi.RESOLVE_NO_MAGICLINKS
_ATTEMPTS = 32


def open_in_root(root: int, path: str, flags: int, mode: int = 0) -> int:
    """Open a path as if `root` were `/` (openat2(2), kernel 5.6); close-on-exec.

    Raises:
        KernelError: as for open(2); ELOOP for a magic link; EAGAIN when the tree is being renamed
            all the time.
    """
    how = abi.OpenHow(flags | os.O_CLOEXEC, mode, _IN_ROOT)
    encoded = os.fsencode(path)
    result = -1
    for _ in range(_ATTEMPTS):
        result = _openat2(abi.SYS_OPENAT2, root, encoded, ctypes.byref(how), _HOW_SIZE)
        # A rename anywhere on the system may spoil a resolution with `..` (openat2(2), EAGAIN).
        if result >= 0 or ctypes.get_errno() != errno.EAGAIN:
            break
    return check(result, "openat2", path)


def make_directory(root: int, path: str, mode: int = 0o755) -> int:
    """An O_PATH descriptor of a directory in the root; missing components are made.

    Raises:
        KernelError: ENOTDIR when something else is there; ELOOP for a dangling symbolic link.
    """
    try:
        return open_in_root(root, path, os.O_PATH | os.O_DIRECTORY)
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
    current = os.dup(root)
    done = ""
    try:
        for name in _components(path):
            # From the root again each time: a link may lead anywhere in it, `..` included.
            done = f"{done}/{name}"
            following = _enter(root, current, done, mode)
            os.close(current)
            current = following
    except BaseException:
        os.close(current)
        raise
    return current


def make_file(root: int, path: str, mode: int = 0o644) -> int:
    """An O_PATH descriptor of a file in the root, to mount over; made empty when missing."""
    try:
        return open_in_root(root, path, os.O_PATH)
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
    parent, _, name = path.rstrip("/").rpartition("/")
    directory = make_directory(root, parent or "/")
    try:
        flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            os.close(os.open(name, flags, mode, dir_fd=directory))
        except FileExistsError:
            # Somebody else made it, or it is a dangling link, which the next line refuses.
            pass
        except OSError as error:
            raise KernelError(error.errno or 0, "create", path) from error
        return open_in_root(directory, name, os.O_PATH | os.O_NOFOLLOW)
    finally:
        os.close(directory)


def _components(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _enter(root: int, parent: int, path: str, mode: int) -> int:
    flags = os.O_PATH | os.O_DIRECTORY
    try:
        return open_in_root(root, path, flags)
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
    name = path.rpartition("/")[2]
    try:
        os.mkdir(name, mode, dir_fd=parent)
    except FileExistsError:
        pass
    except OSError as error:
        raise KernelError(error.errno or 0, "mkdir", path) from error
    return open_in_root(parent, name, flags | os.O_NOFOLLOW)
