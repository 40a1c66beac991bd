"""A root in a mount namespace that is there already (`linux.namespaces`, type mount with a path).

The container's process enters it, builds the root there and makes it the namespace's root, for all
who are in it. Not imported unless a document asks for that.

Mounts of such a namespace may be shared with the host's. What is mounted on them, or taken off,
would be so there too: so each that is mounted on stops passing mounts on first, and no other.
"""

import errno
import os

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.kernel import KernelError, abi
from boxship.runtime.position import open_namespace
from boxship.runtime.steps import Context, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.kernel.api import Kernel

_NOWHERE = (errno.ENOENT, errno.ENOTDIR)
# MNT_NS_INIT_INO of linux/nsfs.h: the machine's first mount namespace, since Linux 6.18.
_INITIAL = 0xEFFFFFF8


def open_mounts(kernel: "Kernel", path: str) -> int:
    """A descriptor of a mount namespace whose root may be changed.

    Raises:
        InvalidArgumentError: there is something else at the path.
        UnsupportedError: the caller or the host's init is in it.
    """
    descriptor = open_namespace(kernel, "mount", path)
    identity = kernel.file_identity(descriptor)
    whose = ""
    if identity == _namespace_of("self"):
        whose = "the runtime's own"
    elif identity == _namespace_of("1") or identity[1] == _INITIAL:
        whose = "the host's"
    if whose:
        kernel.close(descriptor)
        msg = f"linux.namespaces: {path} is {whose} mount namespace"
        hint = "the root of all who are in it would change; leave the path out for a new one"
        raise UnsupportedError(msg, hint=hint)
    return descriptor


def _namespace_of(process: str) -> "tuple[int, int]":
    try:
        found = os.stat(f"/proc/{process}/ns/mnt")  # noqa: PTH116 - pathlib is slow to import
    except PermissionError:
        # PID 1 may have rights that this root lacks (ptrace(2), access mode checking).
        return (0, 0)
    return found.st_dev, found.st_ino


class JoinMounts(Step):
    """Enter the mount namespace and go to the place for the stage, as it is found there.

    setns(2) moves to the namespace's root.

    Attributes:
        path: of the namespace, for messages.
        places: directories that may be covered; the first that is there is.
    """

    __slots__ = ("path", "places")

    def __init__(self, path: str, places: "tuple[str, ...]") -> None:
        self.path = path
        self.places = places

    def describe(self) -> str:
        return f"enter mount namespace {self.path} at {self.places[0]}"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        try:
            kernel.setns(context.mounts, abi.CLONE_NEWNS)
        except KernelError as error:
            if error.errno != errno.EPERM:
                raise
            msg = f"cannot enter the mount namespace {self.path}: {error.strerror}"
            hint = "join the user namespace that it belongs to, or none"
            raise UnsupportedError(msg, hint=hint) from error
        self._find_place(kernel)
        _stop_sharing(kernel, ".")

    def _find_place(self, kernel: "Kernel") -> None:
        for place in self.places:
            try:
                kernel.change_directory(place)
            except KernelError as error:
                if error.errno not in _NOWHERE:
                    raise
            else:
                return
        msg = f"the mount namespace {self.path} has no directory {self.places[-1]}"
        raise InvalidArgumentError(
            msg, hint="the bundle must be seen in a namespace that is joined"
        )


def _stop_sharing(kernel: "Kernel", path: str) -> None:
    """Keep the mount that a directory lies on from passing on what is mounted there.

    It still gets what others pass on. pivot_root(2) refuses a new root whose parent is shared.
    """
    while True:
        try:
            kernel.mount("", path, "", abi.MS_SLAVE)
        except KernelError as error:
            # Only a mount's root has a propagation; the root of the namespace is one.
            if error.errno != errno.EINVAL:
                raise
            path += "/.."
        else:
            return


class EnterJoined(Step):
    """Make the built tree the namespace's root and let go of the mounts that were there."""

    __slots__ = ()

    def describe(self) -> str:
        return "pivot into the root, for all of the namespace"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        old = kernel.open_file("/", os.O_PATH | os.O_DIRECTORY)
        kernel.enter_directory(context.root)
        kernel.pivot_root(".", ".")
        # It is nobody's any more but the host's, which would lose its own mounts of the same group.
        kernel.mount_setattr(old, propagation=abi.MS_SLAVE, recursive=True)
        kernel.close(old)
        kernel.umount(".", abi.MNT_DETACH)
        kernel.change_directory("/")


def enter_joined(*, no_pivot: bool) -> Step:
    """The step that makes the built tree the namespace's root."""
    if not no_pivot:
        return EnterJoined()
    from boxship.runtime.filesystem.moving import MoveRoot  # noqa: PLC0415 - rarer still

    class MoveJoined(MoveRoot):
        """As MoveRoot, where others may share the mounts that are covered or taken out."""

        __slots__ = ()

        def execute(self, context: Context) -> None:
            context.kernel.mount("", "/", "", abi.MS_SLAVE)
            try:
                super().execute(context)
            except BaseException:
                _take_out(context.kernel, context.root)
                raise

        def hide(self, kernel: "Kernel", path: str) -> None:
            try:
                # What lies below goes with it.
                kernel.mount("", path, "", abi.MS_SLAVE | abi.MS_REC)
            except KernelError:
                # Another mount lies over it: the caller looks at what is left.
                return
            _stop_sharing(kernel, f"{path}/..")
            super().hide(kernel, path)

    return MoveJoined()


def leave_mounts(context: Context) -> None:
    """Take the stage, and what is on it, out of the namespace; nothing when it is not in it.

    Raises nothing: it follows an error, which counts.
    """
    if context.stage >= 0:
        _take_out(context.kernel, context.stage)


def _take_out(kernel: "Kernel", mount: int) -> None:
    try:
        kernel.enter_directory(mount)
        # What lies over it is found first. What is no part of the namespace, as the mount itself
        # after that, cannot be unmounted (umount(2), EINVAL).
        while True:
            kernel.umount(".", abi.MNT_DETACH)
    except KernelError:
        return
