"""The mount system calls, old (mount) and new (fsopen, open_tree, move_mount; kernel 5.2)."""

import os

from boxship.kernel import abi
from boxship.kernel import foreign as ctypes
from boxship.kernel._libc import KernelError, check, declare

_mount = declare(
    "mount", ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p
)
_umount2 = declare("umount2", ctypes.c_char_p, ctypes.c_int)
_pivot_root = declare("pivot_root", ctypes.c_char_p, ctypes.c_char_p)
_open_tree = declare("syscall", ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_move_mount = declare(
    "syscall",
    ctypes.c_long,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_uint,
)
_fsopen = declare("syscall", ctypes.c_long, ctypes.c_char_p, ctypes.c_uint)
_fsconfig = declare(
    "syscall",
    ctypes.c_long,
    ctypes.c_int,
    ctypes.c_uint,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_int,
)
_fspick = declare("syscall", ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_fsmount = declare("syscall", ctypes.c_long, ctypes.c_int, ctypes.c_uint, ctypes.c_uint)
_mount_setattr = declare(
    "syscall",
    ctypes.c_long,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_uint,
    ctypes.POINTER(abi.MountAttr),
    ctypes.c_size_t,
)


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """Attach or change a file system. The kernel limits `data` to one page."""
    result = _mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), flags, os.fsencode(data) or None
    )
    check(result, f"mount {kind}" if kind else "mount", target)


def umount(target: str, flags: int = 0) -> None:
    """Detach what is mounted on a path (umount2(2))."""
    check(_umount2(os.fsencode(target), flags), "umount", target)


def pivot_root(new_root: str, put_old: str) -> None:
    """Swap the root. With "." twice the old root lies over the new one until it is detached."""
    check(_pivot_root(os.fsencode(new_root), os.fsencode(put_old)), "pivot_root", new_root)


def open_tree(directory: int, path: str, flags: int) -> int:
    """A descriptor (close-on-exec) of a mount, or of a detached copy of one (open_tree(2)).

    Args:
        directory: descriptor the path starts at, or AT_FDCWD.
        path: path, or empty for the descriptor itself.
        flags: OPEN_TREE_CLONE, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW.
    """
    if not path:
        flags |= abi.AT_EMPTY_PATH
    result = _open_tree(
        abi.SYS_OPEN_TREE, directory, os.fsencode(path), flags | abi.OPEN_TREE_CLOEXEC
    )
    return check(result, "open_tree", path)


def move_mount(tree: int, directory: int, path: str = "") -> None:
    """Attach a detached mount (move_mount(2)).

    Args:
        tree: descriptor from open_tree or fsmount; it stays open and names the attached mount.
        directory: descriptor the target path starts at, or AT_FDCWD.
        path: target; empty for the directory itself, which needs no search permission.
    """
    flags = abi.MOVE_MOUNT_F_EMPTY_PATH
    if not path:
        flags |= abi.MOVE_MOUNT_T_EMPTY_PATH
    result = _move_mount(abi.SYS_MOVE_MOUNT, tree, b"", directory, os.fsencode(path), flags)
    check(result, "move_mount", path)


def mount_setattr(
    tree: int,
    *,
    set_: int = 0,
    clear: int = 0,
    propagation: int = 0,
    userns: int = 0,
    recursive: bool = False,
) -> None:
    """Change attributes of a mount given by its descriptor (mount_setattr(2), kernel 5.12).

    Args:
        tree: descriptor of the mount.
        set_: MOUNT_ATTR_* to set; with MOUNT_ATTR_IDMAP `userns` gives the mapping.
        clear: MOUNT_ATTR_* to clear.
        propagation: MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE, or 0 to leave it.
        userns: descriptor of a user namespace.
        recursive: include the mounts below.
    """
    attributes = abi.MountAttr(set_, clear, propagation, userns)
    flags = abi.AT_EMPTY_PATH | (abi.AT_RECURSIVE if recursive else 0)
    size = ctypes.sizeof(attributes)
    result = _mount_setattr(abi.SYS_MOUNT_SETATTR, tree, b"", flags, ctypes.byref(attributes), size)
    check(result, "mount_setattr")


def fsopen(kind: str) -> int:
    """A context in which a file system is configured (fsopen(2))."""
    return check(_fsopen(abi.SYS_FSOPEN, kind.encode(), abi.FSOPEN_CLOEXEC), "fsopen", kind)


def fsconfig(context: int, key: str, value: str | None) -> None:
    """Set a parameter (at most 255 bytes), or a flag when there is no value (fsconfig(2))."""
    command = abi.FSCONFIG_SET_FLAG if value is None else abi.FSCONFIG_SET_STRING
    encoded = None if value is None else os.fsencode(value)
    result = _fsconfig(abi.SYS_FSCONFIG, context, command, os.fsencode(key), encoded, 0)
    _check_context(result, "fsconfig", key, context)


def fscreate(context: int, kind: str) -> None:
    """Make the file system's super block (fsconfig(2), FSCONFIG_CMD_CREATE)."""
    result = _fsconfig(abi.SYS_FSCONFIG, context, abi.FSCONFIG_CMD_CREATE, None, None, 0)
    _check_context(result, "fsconfig create", kind, context)


def fspick(mount: int) -> int:
    """A context in which a mounted file system is changed, by any descriptor of it (fspick(2))."""
    flags = abi.FSPICK_CLOEXEC | abi.FSPICK_EMPTY_PATH
    return check(_fspick(abi.SYS_FSPICK, mount, b"", flags), "fspick")


def fsreconfigure(context: int) -> None:
    """Carry out what was configured (fsconfig(2), FSCONFIG_CMD_RECONFIGURE)."""
    result = _fsconfig(abi.SYS_FSCONFIG, context, abi.FSCONFIG_CMD_RECONFIGURE, None, None, 0)
    _check_context(result, "fsconfig reconfigure", "", context)


def fsmount(context: int, attributes: int = 0) -> int:
    """A descriptor of a detached mount with MOUNT_ATTR_* attributes (fsmount(2))."""
    result = _fsmount(abi.SYS_FSMOUNT, context, abi.FSMOUNT_CLOEXEC, attributes)
    return check(result, "fsmount")


def _check_context(result: int, call: str, about: str, context: int) -> None:
    if result >= 0:
        return
    number = ctypes.get_errno()
    try:
        detail = os.read(context, 1024).decode(errors="replace").strip()
    except OSError:
        detail = ""
    raise KernelError(number, call, about, detail)


def unescape(field: str) -> str:
    """A path of a mount table without the escapes that proc(5) has for blanks and backslashes."""
    if "\\" in field:
        # The backslash last, or what follows it would be read as an escape.
        for character in " \t\n\\":
            field = field.replace(f"\\{ord(character):03o}", character)
    return field
