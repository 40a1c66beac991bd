"""A new root by a move over the old one, where pivot_root cannot work: `--no-pivot`.

Not imported unless that is asked for.
"""

import os

from boxship.errors import UnsupportedError
from boxship.kernel import KernelError, abi
from boxship.kernel.mounts import unescape
from boxship.runtime.steps import Context, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.kernel.api import Kernel

_REVEALING = ("proc", "sysfs")
_CHUNK = 1 << 16


class MoveRoot(Step):
    """As EnterRoot where the host runs from its initramfs.

    The host's mounts stay in the namespace, out of reach below the new root. But a whole /proc or
    /sys among them would allow another whole one to be mounted in a user namespace of the
    container's, without what is masked (mount_too_revealing() of the kernel's fs/namespace.c): they
    are taken out, or covered where the kernel locks them.
    """

    __slots__ = ()

    def describe(self) -> str:
        return "move the root over / and chroot, without the host's /proc and /sys"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        own = _mount_id(kernel, context.root)
        table = kernel.open_file("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        kernel.enter_directory(context.root)
        kernel.mount(".", "/", "", abi.MS_MOVE)
        # Paths are still looked up below the old root. What the stage lay over is there again.
        kernel.enter_directory(context.stage)
        kernel.umount(".", abi.MNT_DETACH)
        for point in reversed(_revealing(table, own)):
            self.hide(kernel, point)
        left = _revealing(table, own)
        if left:
            msg = f"cannot keep the host's {left[0]} from the container: another mount lies over it"
            raise UnsupportedError(msg, hint="unmount it, or leave --no-pivot out")
        kernel.close(table)
        kernel.enter_directory(context.root)
        kernel.change_root(".")
        kernel.change_directory("/")

    def hide(self, kernel: "Kernel", path: str) -> None:
        """Take a mount out, or cover it; the caller looks at what is left."""
        try:
            kernel.umount(path, abi.MNT_DETACH)
        except KernelError:
            # A namespace of lesser rights may not take away what it got with others (EINVAL).
            flags = abi.MS_RDONLY | abi.MS_NOSUID | abi.MS_NODEV
            try:
                kernel.mount("tmpfs", path, "tmpfs", flags, "")
            except KernelError:
                return


def _revealing(table: int, own: int) -> "list[str]":
    """Where whole file systems of those kinds are mounted and seen, the container's apart.

    Args:
        table: descriptor of /proc/self/mountinfo.
        own: id of the container's root mount.
    """
    os.lseek(table, 0, os.SEEK_SET)
    text = b""
    while chunk := os.read(table, _CHUNK):
        text += chunk
    inside, covered, found = {own}, set(), []
    # Parents come first, but for a mount that was moved.
    lines = [line.split(b" ") for line in text.splitlines()]
    size = 0
    while size != len(inside):
        size = len(inside)
        inside.update(int(fields[0]) for fields in lines if int(fields[1]) in inside)
    for fields in lines:
        covered.add((int(fields[1]), fields[4]))
        kind = os.fsdecode(fields[fields.index(b"-") + 1])
        if kind in _REVEALING and fields[3] == b"/" and int(fields[0]) not in inside:
            found.append((int(fields[0]), fields[4]))
    points = (point for number, point in found if (number, point) not in covered)
    return [unescape(os.fsdecode(point)) for point in points]


def _mount_id(kernel: "Kernel", descriptor: int) -> int:
    info = kernel.open_file(f"/proc/self/fdinfo/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        lines = os.read(info, _CHUNK).splitlines()
    finally:
        kernel.close(info)
    return next(int(line[7:]) for line in lines if line.startswith(b"mnt_id:"))
