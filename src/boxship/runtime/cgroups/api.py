"""What a control group can do for a container, whichever version the host runs.

Life cycle: `open_cgroup` only names a group; `create` makes it (and missing parents), `apply` sets
limits, `add` moves a process in, `remove` deletes it once it is empty. `create`, `apply`, `freeze`,
`thaw` and `remove` may be repeated. A group that was created in one process can be opened in
another: everything it knows is its path and the host's hierarchies.

A process must be added before it makes its cgroup namespace, or that namespace would be rooted at
the group of its parent.

Only for type checkers: the launcher imports the classes behind it, never the typing module.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from boxship.runtime.cgroups.stats import CgroupStats
from boxship.runtime.cgroups.values import CgroupMount


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

    def permitted(self) -> bool:
        """Whether the caller may make the group and move itself in; asked by ordinary users."""

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

    def delegate(self, uid: int) -> None:
        """Let a user of the host make groups below this one, where that is safe (version 2)."""

    def freeze(self) -> None:
        """Stop every process; returns once all are stopped."""

    def thaw(self) -> None: ...

    def frozen(self) -> bool:
        """Whether the group is frozen, or one above it."""

    def kill(self) -> None:
        """SIGKILL every process of the group and its descendants, whoever froze them."""

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
