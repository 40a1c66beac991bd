"""What a control group can do for a container, whichever version the host runs.

Life cycle: `open_cgroup` only names a group; `create` makes it (and missing parents), `apply` sets
limits, `add` moves a process in, `remove` deletes it once it is empty. `create`, `apply`, `freeze`,
`thaw` and `remove` may be repeated. A group that was created in one process can be opened in
another: everything it knows is its path and the host's hierarchies.

A process must be added before it makes its cgroup namespace, or that namespace would be rooted at
the group of its parent.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol


class Hierarchies(NamedTuple):
    """Where the host keeps control groups; found once a process by `detect`.

    Attributes:
        v1: controller (`memory`, `name=systemd`) to mount point, in mount order. Controllers
            mounted together (`cpu,cpuacct`) share a mount point.
        unified: mount point of the v2 hierarchy, or empty.
        controllers: controllers the v2 hierarchy owns.
    """

    v1: dict[str, str]
    unified: str
    controllers: tuple[str, ...]

    @property
    def version(self) -> int:
        """2 when every controller is on the unified hierarchy, else 1."""
        mixed = any(not name.startswith("name=") for name in self.v1)
        return 1 if mixed or not self.unified else 2


class CgroupMount(NamedTuple):
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

    type: str
    name: str
    data: str
    source: str
    links: tuple[str, ...]


class IoStat(NamedTuple):
    """Bytes and operations of one block device."""

    major: int
    minor: int
    read_bytes: int
    write_bytes: int
    read_operations: int
    write_operations: int


class CgroupStats(NamedTuple):
    """A sample of a group's counters; times in nanoseconds, sizes in bytes, limit 0 for none.

    Attributes:
        memory: the kernel's `memory.stat`, as is.
    """

    cpu_total: int
    cpu_user: int
    cpu_system: int
    cpu_per_cpu: tuple[int, ...]
    cpu_periods: int
    cpu_throttled_periods: int
    cpu_throttled_time: int
    memory_usage: int
    memory_max_usage: int
    memory_limit: int
    memory_failures: int
    memory: dict[str, int]
    pids_current: int
    pids_limit: int
    io: tuple[IoStat, ...]


class Cgroup(Protocol):
    """One control group: the same directory name on every hierarchy the container uses.

    Failures raise the kinds of `boxship.errors`, naming the file and the group.
    """

    @property
    def path(self) -> str:
        """Path below the hierarchies' mount points, absolute and normalised."""

    @property
    def version(self) -> int:
        """1 or 2."""

    def exists(self) -> bool: ...

    def create(self) -> None:
        """Make the group; parents inherit their cpuset. No error when it is there."""

    def apply(self, resources: Mapping[str, Any]) -> tuple[str, ...]:
        """Set limits from an OCI `linux.resources` object, also on a group in use.

        Returns:
            Warnings about limits this kernel can only approximate or ignore.

        Raises:
            UnsupportedError: a limit needs a controller that the host does not offer; named.
            InvalidArgumentError: the kernel refuses a value.
        """

    def add(self, pid: int) -> None:
        """Move another process (all its threads) into the group; slow, see `enter`."""

    def enter(self) -> None:
        """Move the calling process in, which must have one thread only.

        The way for a container's first process, between clone and `unshare(CLONE_NEWCGROUP)`, while
        it still sees the host's mounts: a thread that moves itself on v1 (`0` to `tasks`) takes no
        global lock (kernel 5.4), whereas `add` waits for an RCU grace period, 15 ms on an idle
        host.
        """

    def open_directory(self) -> int:
        """A descriptor for `CLONE_INTO_CGROUP` (v2), or -1 where only `add` works (v1)."""

    def freeze(self) -> None:
        """Stop every process; returns once all are stopped."""

    def thaw(self) -> None: ...

    def frozen(self) -> bool: ...

    def kill(self) -> None:
        """SIGKILL every process of the group and its descendants, frozen ones too."""

    def processes(self) -> list[int]:
        """Process ids in the group and its descendants; empty when the group is gone."""

    def oom_kills(self) -> int:
        """How many processes the kernel killed for the group's memory limit; 0 when unknown."""

    def stats(self) -> CgroupStats: ...

    def remove(self) -> None:
        """Delete the group and its descendants; no error when it is gone.

        Raises:
            ConflictError: processes are still in it after half a second.
        """

    def mounts(self) -> tuple[CgroupMount, ...]:
        """What to mount in the container, parents first."""
