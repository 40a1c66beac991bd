"""Take the kernel's longest wait off a container's start: that of moving into a control group.

The first write to a `cgroup.procs` after a pause waits for an RCU grace period, 6 to 8 ms on a
quiet machine: half of a start. Writes that follow within some 20 ms do not wait
(cgroup_threadgroup_rwsem, a percpu_rw_semaphore: kernel/cgroup/cgroup.c and kernel/rcu/sync.c).
So this process is moved into the group that it is in already, which changes nothing, as soon as
a start is foreseeable, and the grace period passes while the start is prepared.
"""

import threading
from pathlib import Path

from boxship.runtime.cgroups.hierarchies import detect
from boxship.runtime.cgroups.values import Hierarchies


class Warmer:
    """Writes in a thread of its own, which ends with the process.

    On cgroup v2 alone there is nothing to do: the clone puts a container into its group without
    this wait (clone3(2), CLONE_INTO_CGROUP).
    """

    def __init__(self, hierarchies: Hierarchies | None = None) -> None:
        self._hierarchies = detect() if hierarchies is None else hierarchies
        self._wanted = threading.Event()
        if self._hierarchies.version == 1:
            threading.Thread(target=self._run, name="cgroup-warmer", daemon=True).start()

    def foresee(self) -> None:
        """A process is going to enter a control group soon; returns at once."""
        self._wanted.set()

    def _run(self) -> None:
        while self._wanted.wait():
            self._wanted.clear()
            rejoin(self._hierarchies)


def rejoin(hierarchies: Hierarchies, groups: Path = Path("/proc/self/cgroup")) -> bool:
    """Move this process to where it is on one v1 hierarchy.

    Args:
        hierarchies: from `detect`.
        groups: which groups this process is in (proc_pid_cgroup(5)).

    Returns:
        False where that is not possible: a group out of this cgroup namespace's sight, no right.
    """
    try:
        for line in groups.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            point = hierarchies.v1.get(controllers.split(",", 1)[0], "")
            if point and ".." not in path.split("/"):
                (Path(point) / path.lstrip("/") / "cgroup.procs").write_text("0")
                return True
    except OSError:
        # Only a start's speed is at stake.
        return False
    return False
