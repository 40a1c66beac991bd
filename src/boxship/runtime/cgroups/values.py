"""Where the host's hierarchies are, and how they are shown in a container.

Plain classes: the launcher imports this, and the typing module takes 12 ms to load.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Hierarchies:
    """Where the host keeps control groups; found once a process by `detect`.

    Attributes:
        v1: controller (`memory`, `name=systemd`) to mount point, in mount order. Controllers
            mounted together (`cpu,cpuacct`) share a mount point.
        unified: mount point of the v2 hierarchy, or empty.
        controllers: controllers the v2 hierarchy owns.
    """

    __slots__ = ("controllers", "unified", "v1")

    def __init__(self, v1: dict[str, str], unified: str, controllers: tuple[str, ...]) -> None:
        self.v1 = v1
        self.unified = unified
        self.controllers = controllers

    @property
    def version(self) -> int:
        """2 when every controller is on the unified hierarchy, else 1."""
        mixed = any(not name.startswith("name=") for name in self.v1)
        return 1 if mixed or not self.unified else 2


class CgroupMount:
    """How one hierarchy is shown inside a container, under its `/sys/fs/cgroup`.

    Attributes:
        type: `cgroup` or `cgroup2`.
        name: directory below `/sys/fs/cgroup`; empty for `/sys/fs/cgroup` itself (v2).
        data: mount data of a fresh mount from inside the cgroup namespace (`cpu,cpuacct`,
            `name=systemd`; empty for v2).
        source: host directory of this group on that hierarchy, to bind where there is no cgroup
            namespace.
        links: further names that Docker shows as symbolic links to `name` (`cpu` for
            `cpu,cpuacct`).
    """

    __slots__ = ("data", "links", "name", "source", "type")

    def __init__(
        self,
        type: str,  # noqa: A002 - mount(8) calls it so
        name: str,
        data: str,
        source: str,
        links: tuple[str, ...] = (),
    ) -> None:
        self.type = type
        self.name = name
        self.data = data
        self.source = source
        self.links = links


def legacy_mounts(
    hierarchies: Hierarchies, path_of: "Callable[[str], str]"
) -> tuple[CgroupMount, ...]:
    """How v1 hierarchies are shown in a container: each mount point once.

    Args:
        hierarchies: from `detect`.
        path_of: the group's path on the hierarchy of a controller.
    """
    together: dict[str, list[str]] = {}
    for name, point in hierarchies.v1.items():
        together.setdefault(point, []).append(name)
    return tuple(
        CgroupMount(
            type="cgroup",
            name=point.rpartition("/")[2],
            data=",".join(names),
            source=point + path_of(names[0]),
            links=tuple(names) if len(names) > 1 else (),
        )
        for point, names in together.items()
    )
