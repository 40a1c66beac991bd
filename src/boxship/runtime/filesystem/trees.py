"""Mounts that only the host side can prepare: detached copies of host directories and files.

The parent opens them with the host's rights and sets what a container may not (id mapping, flags
that would be locked); the child only attaches them. A source path is therefore never resolved by a
process that is confined, and never inside a container's root, but for the shared memory of one that
another joins.
"""

import errno
import os
import stat

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.kernel import KernelError, abi
from boxship.runtime.filesystem.options import MountOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.kernel.api import Kernel

_SHM = "/root/dev/shm"
_NOT_MAPPABLE = (errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP, errno.EBUSY)


class Tree:
    """A copy to prepare.

    Attributes:
        source: absolute host path.
        options: what to do to it.
        strict: fail when ids cannot be mapped; without it the copy keeps the host's ids.
        uid_map: own id ranges of the mount (OCI `uidMappings`); empty for the container's.
        gid_map: the same for groups.
    """

    __slots__ = ("gid_map", "options", "source", "strict", "uid_map")

    def __init__(
        self,
        source: str,
        options: MountOptions,
        *,
        strict: bool = False,
        uid_map: "tuple[tuple[int, int, int], ...]" = (),
        gid_map: "tuple[tuple[int, int, int], ...]" = (),
    ) -> None:
        self.source = source
        self.options = options
        self.strict = strict
        self.uid_map = uid_map
        self.gid_map = gid_map

    def describe(self) -> str:
        """One line for `--debug` and for tests."""
        words = ["recursive"] if self.options.recursive else []
        if self.options.idmap:
            words.append("id-mapped")
        if self.options.set:
            words.append(f"{self.options.set:#x}")
        return f"clone tree {self.source}" + (f" ({', '.join(words)})" if words else "")

    def clone(self, kernel: "Kernel", userns: int) -> int:
        """A descriptor of the prepared copy; see clone_tree."""
        return clone_tree(kernel, self, userns)


def clone_tree(kernel: "Kernel", tree: Tree, userns: int) -> int:
    """A descriptor of the prepared copy.

    Args:
        kernel: the door to the kernel.
        tree: what to copy.
        userns: descriptor of the container's user namespace, -1 without one.

    Raises:
        InvalidArgumentError: the source does not exist.
        UnsupportedError: ids must be mapped and the file system cannot.
        KernelError: another call failed.
    """
    options = tree.options
    flags = abi.OPEN_TREE_CLONE | (abi.AT_RECURSIVE if options.recursive else 0)
    if options.source_link:
        flags |= abi.AT_SYMLINK_NOFOLLOW
    try:
        copy = _open(kernel, tree.source, flags)
    except KernelError as error:
        if error.errno == errno.EINVAL and not options.recursive:
            msg = f"cannot mount {tree.source} alone: in a user namespace it keeps what is below"
            raise InvalidArgumentError(msg, hint="use rbind instead of bind") from error
        if error.errno == errno.EACCES:
            msg = f"cannot mount {tree.source}: this user may not reach it"
            raise InvalidArgumentError(msg) from error
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise
        msg = f"cannot mount {tree.source}: no such file or directory"
        raise InvalidArgumentError(msg) from error
    try:
        _prepare(kernel, tree, copy, userns)
    except BaseException:
        kernel.close(copy)
        raise
    return copy


def _open(kernel: "Kernel", source: str, flags: int) -> int:
    process = source.removesuffix(_SHM)
    if process == source or not process.startswith("/proc/"):
        return kernel.open_tree(abi.AT_FDCWD, source, flags)
    # Mounts of another mount namespace can be copied from within it only. Its links lead nowhere
    # but to its own files: what is looked up there is looked up from its root.
    from boxship.runtime.position import Position, close_all, open_namespaces  # noqa: PLC0415 - rare

    namespace = open_namespaces(kernel, [("mount", f"{process}/ns/mnt")])
    try:
        with Position(kernel, "/", namespace):
            copy = kernel.open_tree(abi.AT_FDCWD, "/dev/shm", flags | abi.AT_SYMLINK_NOFOLLOW)  # noqa: S108 - no file
    finally:
        close_all(kernel, namespace)
    if not stat.S_ISDIR(kernel.file_mode(copy)):
        kernel.close(copy)
        raise InvalidArgumentError(f"cannot share {source}: it is not a directory")
    return copy


def _prepare(kernel: "Kernel", tree: Tree, copy: int, userns: int) -> None:
    options = tree.options
    if options.propagation:
        kernel.mount_setattr(
            copy, propagation=options.propagation, recursive=options.propagation_below
        )
    else:
        kernel.mount_setattr(copy, propagation=abi.MS_PRIVATE, recursive=options.recursive)
    if options.idmap:
        _map_ids(kernel, tree, copy, userns)
    if options.set_below or options.clear_below:
        kernel.mount_setattr(
            copy, set_=options.set_below, clear=options.clear_below, recursive=True
        )
    if options.set or options.clear:
        kernel.mount_setattr(copy, set_=options.set, clear=options.clear)


def _map_ids(kernel: "Kernel", tree: Tree, copy: int, userns: int) -> None:
    own = -1
    if tree.uid_map or tree.gid_map:
        own = make_user_namespace(kernel, tree.uid_map, tree.gid_map)
    elif userns < 0:
        if tree.strict:
            raise InvalidArgumentError(
                f"cannot map ids of {tree.source}: the container has no user namespace",
                hint="give the mount uidMappings and gidMappings, or leave idmap out",
            )
        return
    try:
        kernel.mount_setattr(
            copy,
            set_=abi.MOUNT_ATTR_IDMAP,
            userns=own if own >= 0 else userns,
            recursive=tree.options.idmap_below,
        )
    except KernelError as error:
        if error.errno not in _NOT_MAPPABLE:
            raise
        if tree.strict:
            msg = f"the file system of {tree.source} does not support id-mapped mounts"
            raise UnsupportedError(msg, hint="run the container with --userns=host") from error
    finally:
        if own >= 0:
            kernel.close(own)


def make_user_namespace(
    kernel: "Kernel",
    uid_map: "tuple[tuple[int, int, int], ...]",
    gid_map: "tuple[tuple[int, int, int], ...]",
) -> int:
    """A descriptor of a new user namespace with these id ranges and no process in it."""
    pid, pidfd = kernel.clone(abi.CLONE_NEWUSER, exit_signal=17)
    if pid == 0:
        _sleep_until_killed()
    try:
        kernel.write_uid_map(pid, uid_map)
        kernel.write_gid_map(pid, gid_map)
        return kernel.open_file(f"/proc/{pid}/ns/user", os.O_RDONLY)
    finally:
        kernel.pidfd_send_signal(pidfd, 9)
        kernel.close(pidfd)
        os.waitpid(pid, 0)


def _sleep_until_killed() -> None:
    reading, _writing = os.pipe()
    while True:
        os.read(reading, 1)
