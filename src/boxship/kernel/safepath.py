"""Paths inside a root that cannot be trusted: resolved by the kernel as if chrooted (openat2).

A symbolic link in an image, absolute or with `..`, stays inside the root; magic links of /proc are
refused. Results are descriptors, so that nothing can be swapped between check and use. Every
function takes the root's descriptor and closes what it opens on failure.
"""

import errno
import os

from boxship.kernel import abi
from boxship.kernel import foreign as ctypes
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
_MAX_LINKS = 40


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

    A link that leads nowhere is followed as far as it goes, within the root, and its target made.

    Raises:
        KernelError: ENOTDIR when something else is there; ELOOP for magic links and endless ones.
    """
    flags = os.O_PATH | os.O_DIRECTORY
    try:
        return open_in_root(root, path, flags)
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
    done, names, links = "/", _components(path), 0
    while names:
        name = names.pop(0)
        parent = open_in_root(root, done, flags)
        try:
            link = _make_unless_there(parent, name, mode)
        finally:
            os.close(parent)
        if link is None:
            done = f"{done.rstrip('/')}/{name}"
            continue
        links += 1
        if links > _MAX_LINKS:
            raise KernelError(errno.ELOOP, "mkdir", path)
        names = _components(link) + names
        if link.startswith("/"):
            done = "/"
    return open_in_root(root, done, flags)


def make_file(root: int, path: str, mode: int = 0o644) -> int:
    """An O_PATH descriptor of a file in the root, to mount over; made empty when missing.

    Raises:
        KernelError: as for make_directory.
    """
    place = path
    for _ in range(_MAX_LINKS):
        try:
            return open_in_root(root, place, os.O_PATH)
        except KernelError as error:
            if error.errno != errno.ENOENT:
                raise
        above, _, name = place.rstrip("/").rpartition("/")
        parent = make_directory(root, above or "/")
        try:
            link = _read_link(parent, name)
            if link is None:
                _create(parent, name, mode, path)
                return open_in_root(parent, name, os.O_PATH | os.O_NOFOLLOW)
        finally:
            os.close(parent)
        place = link if link.startswith("/") else f"{above}/{link}"
    raise KernelError(errno.ELOOP, "create", path)


def _components(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _make_unless_there(parent: int, name: str, mode: int) -> str | None:
    """Make a directory; or where the link leads that is there instead."""
    if name == "..":
        return None
    link = _read_link(parent, name)
    if link is not None:
        return link
    try:
        os.mkdir(name, mode, dir_fd=parent)
    except FileExistsError:
        return None
    except OSError as error:
        raise KernelError(error.errno or 0, "mkdir", name) from error
    return None


def _read_link(parent: int, name: str) -> str | None:
    try:
        return os.readlink(name, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINVAL):
            return None
        raise KernelError(error.errno or 0, "readlink", name) from error


def _create(parent: int, name: str, mode: int, path: str) -> None:
    flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        os.close(os.open(name, flags, mode, dir_fd=parent))
    except FileExistsError:
        # Somebody else made it; the caller opens it without following a link.
        return
    except OSError as error:
        raise KernelError(error.errno or 0, "create", path) from error
