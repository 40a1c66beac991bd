"""What this kernel and this process can do, found by trying."""

import os

from boxship.kernel import abi, mounts
from boxship.kernel._libc import KernelError
from boxship.kernel.capabilities import last_capability


class Features:
    """Facts that the runtime's plan depends on.

    Attributes:
        release: kernel version, major and minor.
        user_namespaces: new user namespaces may be made.
        cgroup_namespaces: cgroup namespaces exist (kernel 4.6).
        time_namespaces: time namespaces exist (kernel 5.6).
        idmapped_mounts: MOUNT_ATTR_IDMAP on common file systems and below overlayfs (kernel 5.19).
        last_capability: highest capability number the kernel knows.
        apparmor: the AppArmor module is active.
        selinux: SELinux is active.
    """

    __slots__ = (
        "apparmor",
        "cgroup_namespaces",
        "idmapped_mounts",
        "last_capability",
        "release",
        "selinux",
        "time_namespaces",
        "user_namespaces",
    )

    def __init__(
        self,
        release: tuple[int, int],
        namespaces: "frozenset[str]",
        security: "frozenset[str]" = frozenset(),
        last_capability: int = 40,
    ) -> None:
        self.release = release
        self.user_namespaces = "user" in namespaces
        self.cgroup_namespaces = "cgroup" in namespaces
        self.time_namespaces = "time" in namespaces
        # 5.12 maps ext4 and xfs, 5.19 lets overlayfs sit on mapped mounts.
        self.idmapped_mounts = release >= (5, 19) and self.user_namespaces
        self.last_capability = last_capability
        self.apparmor = "apparmor" in security
        self.selinux = "selinux" in security


def probe() -> Features:
    """Ask the running kernel; takes about 0.1 ms."""
    release = os.uname().release.split(".")
    number = (int(release[0]), int("".join(c for c in release[1] if c.isdigit())))
    security = frozenset(_security())
    return Features(number, frozenset(_namespaces()), security, last_capability())


def is_mappable(path: str, userns: int) -> bool:
    """Whether the file system at a path accepts an id-mapped mount.

    Args:
        path: any path on it.
        userns: descriptor of a user namespace other than the initial one.
    """
    tree = mounts.open_tree(abi.AT_FDCWD, path, abi.OPEN_TREE_CLONE)
    try:
        mounts.mount_setattr(tree, set_=abi.MOUNT_ATTR_IDMAP, userns=userns)
    except KernelError:
        return False
    finally:
        os.close(tree)
    return True


def _namespaces() -> list[str]:
    names = ("user", "cgroup", "time")
    return [name for name in names if os.access(f"/proc/self/ns/{name}", os.F_OK)]


def _security() -> list[str]:
    active = []
    if os.access("/sys/kernel/security/apparmor/profiles", os.F_OK):
        active.append("apparmor")
    if os.access("/sys/fs/selinux/enforce", os.F_OK):
        active.append("selinux")
    return active
