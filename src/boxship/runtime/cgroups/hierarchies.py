"""Find the host's cgroup hierarchies and open groups on them."""

from boxship.errors import InvalidArgumentError
from boxship.kernel.mounts import unescape
from boxship.runtime.cgroups import files
from boxship.runtime.cgroups.values import Hierarchies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.runtime.cgroups.api import Cgroup

# The resource controllers a v1 hierarchy can carry (Documentation/admin-guide/cgroup-v1).
_CONTROLLERS = frozenset(
    (
        "blkio",
        "cpu",
        "cpuacct",
        "cpuset",
        "devices",
        "freezer",
        "hugetlb",
        "memory",
        "net_cls",
        "net_prio",
        "perf_event",
        "pids",
        "rdma",
    )
)
_ROOT = "/sys/fs/cgroup"


def detect(mountinfo: str = "/proc/self/mountinfo") -> Hierarchies:
    """Read where cgroups are mounted.

    Where a controller is mounted more than once (a chroot with the tree bound in), the mount under
    `/sys/fs/cgroup` is taken. A host without any gives empty hierarchies: containers run there,
    and limits are refused.

    Raises:
        OSError: the file cannot be read.
    """
    v1: dict[str, str] = {}
    unified = ""
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as lines:  # noqa: PTH123
        for line in lines:
            before, _, after = line.partition(" - ")
            kind = after.split(" ", 1)[0]
            if kind == "cgroup2":
                unified = _better(unified, _mount_point(before))
            elif kind == "cgroup":
                point = _mount_point(before)
                for name in _names(after):
                    v1[name] = _better(v1.get(name, ""), point)
    return Hierarchies(v1, unified, _unified_controllers(unified))


def open_cgroup(hierarchies: Hierarchies, path: str, around: str = "") -> "Cgroup":
    """Name a group; nothing is touched until `create`.

    Args:
        hierarchies: from `detect`.
        path: OCI `linux.cgroupsPath`; a relative one is taken from the hierarchies' roots too.
        around: a group that it is below of: entered on version 1 hierarchies where it is not.

    Raises:
        InvalidArgumentError: the path is empty, is the root or climbs out of it.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        msg = f"invalid cgroup path {path!r}: it must name a group below the root"
        raise InvalidArgumentError(msg)
    normal = "/" + "/".join(parts)
    if hierarchies.version == 2:
        from boxship.runtime.cgroups.v2 import UnifiedCgroup  # noqa: PLC0415 - one of the two

        return UnifiedCgroup(hierarchies, normal)
    from boxship.runtime.cgroups.v1 import LegacyCgroup  # noqa: PLC0415 - one of the two

    return LegacyCgroup(hierarchies, normal, around)


def _names(after: str) -> list[str]:
    options = after.rstrip("\n").rsplit(" ", 1)[-1].split(",")
    return [name for name in options if name in _CONTROLLERS or name.startswith("name=")]


def _mount_point(before: str) -> str:
    return unescape(before.split(" ")[4])


def _better(old: str, new: str) -> str:
    if not old or (new.startswith(_ROOT) and not old.startswith(_ROOT)):
        return new
    return old


def _unified_controllers(unified: str) -> tuple[str, ...]:
    if not unified:
        return ()
    return tuple(files.read_or(unified, "cgroup.controllers", "").split())
