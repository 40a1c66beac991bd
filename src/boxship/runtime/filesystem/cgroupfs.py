"""Steps that show a container its control groups below /sys/fs/cgroup."""

import errno

from boxship.kernel import KernelError, abi
from boxship.runtime.filesystem.mounting import Parameters, check_place, make_filesystem
from boxship.runtime.steps import Context, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from boxship.kernel.api import Kernel
    from boxship.runtime.cgroups import CgroupMount

_LOCKED_DOWN = abi.MOUNT_ATTR_NOSUID | abi.MOUNT_ATTR_NODEV | abi.MOUNT_ATTR_NOEXEC


def cgroup_owner(spec: "dict[str, Any]") -> int | None:
    """The host's user that a version 2 group is to belong to, to make groups below it.

    OCI runtime specification, "Cgroup ownership": who runs the container's process, where the
    container has a cgroup namespace of its own and is shown its group to write to.
    """
    linux = spec.get("linux") or {}
    spaces = linux.get("namespaces") or ()
    own = any(entry.get("type") == "cgroup" and not entry.get("path") for entry in spaces)
    if not own or not any(map(_shows_writable, spec.get("mounts") or ())):
        return None
    uid: int = ((spec.get("process") or {}).get("user") or {}).get("uid") or 0
    mappings = linux.get("uidMappings")
    if not mappings:
        return uid or None
    for entry in mappings:
        if 0 <= uid - entry["containerID"] < entry["size"]:
            found: int = entry["hostID"] + uid - entry["containerID"]
            return found
    return None


def _shows_writable(mount: "dict[str, Any]") -> bool:
    read_only = {"ro", "rro"} & set(mount.get("options") or ())
    place = (mount.get("destination") or "").rstrip("/")
    return place == "/sys/fs/cgroup" and mount.get("source") == "cgroup" and not read_only


class MakeCgroupNamespace(Step):
    """Root the cgroup namespace at the group that the process is in by now."""

    __slots__ = ()

    def describe(self) -> str:
        return "unshare the cgroup namespace"

    def execute(self, context: Context) -> None:
        context.kernel.unshare(abi.CLONE_NEWCGROUP)


class MountCgroups(Step):
    """Mount every hierarchy the container is in; v1 ones below a tmpfs.

    Attributes:
        target: usually /sys/fs/cgroup.
        mounts: what the host's cgroup version calls for.
        attributes: MOUNT_ATTR_* of each.
        namespaced: there is a cgroup namespace, so fresh mounts show no more than the group.
        data: options for the file system of version 2. The kernel checks them, and heeds those of
            the host's namespace only.
    """

    __slots__ = ("attributes", "data", "mounts", "namespaced", "target")

    def __init__(
        self,
        target: str,
        mounts: "tuple[CgroupMount, ...]",
        attributes: int,
        *,
        namespaced: bool,
        data: "Sequence[tuple[str, str | None]]" = (),
    ) -> None:
        self.data = data
        self.target = target
        self.mounts = mounts
        self.attributes = attributes
        self.namespaced = namespaced

    def describe(self) -> str:
        names = ",".join(mount.name or mount.type for mount in self.mounts)
        return f"mount cgroups {names} at {self.target} ({self.attributes:#x})"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        place = kernel.make_directory(context.root, self.target)
        check_place(context, place, self.target)
        if all(mount.name for mount in self.mounts):
            self._mount_legacy(kernel, place)
        else:
            tree = self._tree(kernel, self.mounts[0])
            kernel.move_mount(tree, place)
            kernel.close(tree)
        kernel.close(place)

    def _mount_legacy(self, kernel: "Kernel", place: int) -> None:
        base = make_filesystem(kernel, "tmpfs", "tmpfs", [("mode", "755")], _LOCKED_DOWN)
        kernel.move_mount(base, place)
        for mount in self.mounts:
            kernel.make_subdirectory(base, mount.name, 0o555)
            tree = self._tree(kernel, mount)
            kernel.move_mount(tree, base, mount.name)
            kernel.close(tree)
            for link in mount.links:
                kernel.make_link(base, link, mount.name)
        kernel.mount_setattr(base, set_=self.attributes)
        kernel.close(base)

    def _tree(self, kernel: "Kernel", mount: "CgroupMount") -> int:
        if self.namespaced:
            try:
                return self._fresh(kernel, mount)
            except KernelError as error:
                if error.errno not in (errno.EPERM, errno.EBUSY):
                    raise
        tree = kernel.open_tree(abi.AT_FDCWD, mount.source, abi.OPEN_TREE_CLONE)
        kernel.mount_setattr(tree, set_=self.attributes, propagation=abi.MS_PRIVATE)
        return tree

    def _fresh(self, kernel: "Kernel", mount: "CgroupMount") -> int:
        data: Parameters = [*self.data]
        for word in mount.data.split(",") if mount.data else ():
            key, equals, value = word.partition("=")
            data.append((key, value if equals else None))
        return make_filesystem(kernel, mount.type, "cgroup", data, self.attributes)
