"""The device nodes of a container: made where that is allowed, bound otherwise.

In a user namespace no node can be made. The default ones are the host's then; others are made by
the parent (`boxship.runtime.filesystem.nodes`) or, where it has no right to either, the host's too.
"""

import errno
import os
import posixpath
import stat

from boxship.errors import InvalidArgumentError, NotFoundError
from boxship.kernel import KernelError, abi
from boxship.runtime.steps import Context, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}

# MINORBITS of linux/kdev_t.h, and what it leaves of 32 bits
_MAJORS, _MINORS = range(1 << 12), range(1 << 20)
# OCI runtime spec, config-linux, "Default Devices": name, major, minor.
_DEFAULTS = (
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
)
# And its "/dev symbolic links".
_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
)


class Device:
    """A device node to appear in a container.

    Attributes:
        path: in the container, absolute and without a slash at its end.
        mode: type and permissions, as in st_mode.
        number: device number as os.makedev makes it.
        uid: owner, as the container sees it.
        gid: group, as the container sees it.
    """

    __slots__ = ("gid", "mode", "number", "path", "uid")

    def __init__(self, path: str, mode: int, number: int, uid: int = 0, gid: int = 0) -> None:
        self.path = path
        self.mode = mode
        self.number = number
        self.uid = uid
        self.gid = gid

    @property
    def is_fifo(self) -> bool:
        """It is a named pipe and no device, which anybody may make."""
        return stat.S_ISFIFO(self.mode)


def container_devices(listed: "list[dict[str, Any]]", *, defaults: bool = True) -> "list[Device]":
    """The default devices and those of `linux.devices`, which win where both name a path.

    Args:
        listed: `linux.devices` of the spec.
        defaults: with the default devices.

    Raises:
        InvalidArgumentError: a device has no path, an unknown type, or numbers that none can have.
    """
    devices = {
        f"/dev/{name}": Device(f"/dev/{name}", stat.S_IFCHR | 0o666, os.makedev(major, minor))
        for name, major, minor in (_DEFAULTS if defaults else ())
    }
    for entry in listed:
        path, kind = entry.get("path") or "", _KINDS.get(entry.get("type") or "")
        if not path.strip("/") or kind is None:
            msg = f"invalid device {path!r} of type {entry.get('type')!r}"
            raise InvalidArgumentError(msg, hint="a device needs a path and the type c, b, u or p")
        path = posixpath.normpath(f"/{path.strip('/')}")
        number = _number(path, entry.get("major") or 0, entry.get("minor") or 0)
        mode = entry.get("fileMode")
        devices[path] = Device(
            path,
            kind | (0o666 if mode is None else stat.S_IMODE(mode)),
            number,
            entry.get("uid") or 0,
            entry.get("gid") or 0,
        )
    return list(devices.values())


def _number(path: str, major: int, minor: int) -> int:
    # What is above, mknod(2) cuts off, and makes another device.
    if major not in _MAJORS or minor not in _MINORS:
        msg = f"device {path} has the numbers {major}:{minor}"
        raise InvalidArgumentError(msg, hint="the highest are 4095:1048575")
    return os.makedev(major, minor)


def host_path(device: Device) -> str:
    """Where the host has a device node, to bind it into a container that may not make nodes.

    Raises:
        NotFoundError: nowhere below /dev.
    """
    if _is_device(device.path, device):
        return device.path
    kind = "block" if stat.S_ISBLK(device.mode) else "char"
    numbers = f"{os.major(device.number)}:{os.minor(device.number)}"
    by_number = f"/dev/{kind}/{numbers}"
    if _is_device(by_number, device):
        return by_number
    with os.scandir("/dev") as entries:
        for entry in entries:
            if _is_device(entry.path, device):
                return entry.path
    msg = f"the host has no {kind} device {numbers} for {device.path}"
    raise NotFoundError(msg, hint="run the container without a user namespace to have it made")


def _is_device(path: str, device: Device) -> bool:
    try:
        found = os.stat(path)  # noqa: PTH116 - pathlib is slow to import
    except OSError:
        return False
    same_kind = stat.S_IFMT(found.st_mode) == stat.S_IFMT(device.mode)
    return same_kind and found.st_rdev == device.number


class MakeDevice(Step):
    """Make a device node or FIFO; the same one may be there already, and stays."""

    __slots__ = ("device",)

    def __init__(self, device: Device) -> None:
        self.device = device

    def describe(self) -> str:
        device = self.device
        numbers = f"{os.major(device.number)}:{os.minor(device.number)}"
        return f"make device {device.path} {device.mode:o} {numbers} {device.uid}:{device.gid}"

    def execute(self, context: Context) -> None:
        kernel, device = context.kernel, self.device
        directory, name = open_parent(context, device.path)
        try:
            owner = device.uid, device.gid
            kernel.make_node(directory, name, device.mode, device.number, owner)
        except KernelError as error:
            if error.errno != errno.EEXIST:
                raise
            self._use(context, directory, name)
        finally:
            kernel.close(directory)

    def _use(self, context: Context, directory: int, name: str) -> None:
        target = existing_place(context, self.device, directory, name)
        if target >= 0:
            # The file that a bind into this root has left.
            bind_node(context, abi.AT_FDCWD, host_path(self.device), target)


class BindDevice(Step):
    """Bind the host's device node, where a user namespace forbids making one."""

    __slots__ = ("device",)

    def __init__(self, device: Device) -> None:
        self.device = device

    def describe(self) -> str:
        return f"bind device {self.device.path}"

    def execute(self, context: Context) -> None:
        target = place(context, self.device)
        if target >= 0:
            bind_node(context, abi.AT_FDCWD, host_path(self.device), target)


def place(context: Context, device: Device) -> int:
    """A descriptor of a file to bind a device over; -1 when the device is there already.

    Raises:
        InvalidArgumentError: something else is there.
    """
    kernel = context.kernel
    directory, name = open_parent(context, device.path)
    try:
        try:
            return existing_place(context, device, directory, name)
        except KernelError as error:
            if error.errno != errno.ENOENT:
                raise
        return kernel.make_file(directory, name)
    finally:
        kernel.close(directory)


def existing_place(context: Context, device: Device, directory: int, name: str) -> int:
    """As `place`, when something is there."""
    kernel = context.kernel
    # A link is not the device that it leads to.
    found = kernel.open_in_root(directory, name, os.O_PATH | os.O_NOFOLLOW)
    status = kernel.file_status(found)
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        return found
    kernel.close(found)
    same_kind = stat.S_IFMT(status.st_mode) == stat.S_IFMT(device.mode)
    if same_kind and (stat.S_ISFIFO(device.mode) or status.st_rdev == device.number):
        return -1
    # OCI runtime spec, config-linux, "Devices".
    msg = f"cannot make device {device.path}: something else is there"
    raise InvalidArgumentError(msg, hint="remove it from the image, or mount a tmpfs over it")


def bind_node(context: Context, directory: int, path: str, target: int) -> None:
    """Bind a device node over a file, whose descriptor is closed."""
    kernel = context.kernel
    try:
        tree = kernel.open_tree(directory, path, abi.OPEN_TREE_CLONE)
        try:
            kernel.mount_setattr(tree, set_=abi.MOUNT_ATTR_NOSUID | abi.MOUNT_ATTR_NOEXEC)
            kernel.move_mount(tree, target)
        finally:
            kernel.close(tree)
    finally:
        kernel.close(target)


class LinkDevices(Step):
    """Make the links that programs expect in /dev, and /dev/ptmx for its own devpts."""

    __slots__ = ()

    def describe(self) -> str:
        return "link /dev/fd, stdin, stdout, stderr, ptmx"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        directory = self._directory(context)
        try:
            for name, target in (*_LINKS, ("ptmx", "pts/ptmx")):
                try:
                    kernel.make_link(directory, name, target)
                except KernelError as error:
                    if error.errno != errno.EEXIST:
                        raise
                    if name == "ptmx":
                        _replace_node(context, directory, name, target)
        finally:
            kernel.close(directory)

    def _directory(self, context: Context) -> int:
        try:
            flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
            return context.kernel.open_in_root(context.root, "/dev", flags)
        except KernelError as error:
            if error.errno == errno.ENOENT:
                return context.kernel.make_directory(context.root, "/dev")
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            msg = "/dev of the image is no directory"
            hint = "mount a tmpfs at /dev, or make it a directory in the image"
            raise InvalidArgumentError(msg, hint=hint) from error


def _replace_node(context: Context, directory: int, name: str, target: str) -> None:
    """Make a link in place of what an image has; a link of its own may stay."""
    kernel = context.kernel
    found = kernel.open_in_root(directory, name, os.O_PATH | os.O_NOFOLLOW)
    mode = kernel.file_mode(found)
    kernel.close(found)
    if not stat.S_ISLNK(mode):
        kernel.remove_file(directory, name)
        kernel.make_link(directory, name, target)


def open_parent(context: Context, path: str) -> tuple[int, str]:
    """The directory of a path in the root, made when missing, and the last name."""
    parent, _, name = path.rpartition("/")
    return context.kernel.make_directory(context.root, parent or "/"), name
