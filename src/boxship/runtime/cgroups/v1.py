"""Cgroup version 1: one directory of the same name on every controller's hierarchy.

Documentation/admin-guide/cgroup-v1 in the kernel tree.
"""
# The launcher imports this, and pathlib costs more than a container's groups.
# ruff: noqa: PTH102, PTH112, PTH120

import errno
import os
import time

from boxship.errors import ConflictError
from boxship.runtime.cgroups import files
from boxship.runtime.cgroups.limits_v1 import apply_limits
from boxship.runtime.cgroups.values import CgroupMount, Hierarchies, legacy_mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from boxship.runtime.cgroups.stats import CgroupStats

_FREEZE_SECONDS = 2.0
_FREEZE_TO_KILL_SECONDS = 0.05
_FREEZE_STUCK_SECONDS = 0.05
_TRIES = 8
_REMOVE_SECONDS = 0.5


class LegacyCgroup:
    """A group on v1 hierarchies, the freezer's included; see `api.Cgroup`."""

    version = 1

    def __init__(self, hierarchies: Hierarchies, path: str, around: str = "") -> None:
        """Name a group.

        Args:
            hierarchies: from `detect`.
            path: of the group.
            around: a group that it is below of, to enter on hierarchies where the former is not.
        """
        self.path = path
        self._around = {point + path: point + around for point in hierarchies.v1.values() if around}
        self._hierarchies = hierarchies
        self._directories = {name: point + path for name, point in hierarchies.v1.items()}
        # Controllers mounted together share a directory: each is visited once, in mount order.
        self._unique = tuple(dict.fromkeys(self._directories.values()))
        # Any hierarchy that all processes of the group are in will do for listing them.
        self._freezer = self._directories.get("freezer", "")
        self._listing = self._freezer or (self._unique[-1] if self._unique else "")

    def exists(self) -> bool:
        # Who made it by hand may have made it on one hierarchy only.
        return os.path.isdir(self._listing or "/nowhere") or any(map(os.path.isdir, self._unique))

    def permitted(self) -> bool:
        from boxship.runtime.cgroups.own import can_make  # noqa: PLC0415 - root need not ask

        return all(can_make(directory) for directory in self._unique)

    def create(self) -> None:
        cpuset = self._directories.get("cpuset", "")
        for directory in self._unique:
            depth = self.path.count("/")
            _make(directory, depth, cpuset=directory == cpuset)

    def apply(self, resources: "Mapping[str, Any]") -> tuple[str, ...]:
        return apply_limits(self._directories, self.path, resources)

    def add(self, pid: int) -> None:
        for directory in self._unique:
            files.write(directory, "cgroup.procs", str(pid))

    def enter(self) -> None:
        for directory in self._unique:
            around = self._around.get(directory)
            chosen = directory if around is None or os.path.isdir(directory) else around
            files.write(chosen, "tasks", "0")

    def open_directory(self) -> int:
        return -1

    def freeze(self) -> None:
        self._require_freezer()
        if not self._freeze(_FREEZE_SECONDS):
            self.thaw()
            raise ConflictError(f"cannot freeze cgroup {self.path}: its processes do not stop")

    def _freeze(self, seconds: float) -> bool:
        now = time.monotonic()
        deadline, stuck = now + seconds, now + _FREEZE_STUCK_SECONDS
        pause = 0.0002
        while True:
            # Written again each time: tasks that fork while freezing can escape one sweep.
            files.write(self._freezer, "freezer.state", "FROZEN")
            if files.read(self._freezer, "freezer.state") == "FROZEN":
                return True
            now = time.monotonic()
            if now > deadline:
                return False
            if now > stuck:
                # A thread that executes a program waits, unfreezable, for its process's other
                # threads to end, which they cannot while they are frozen.
                self.thaw()
                stuck = now + _FREEZE_STUCK_SECONDS
            time.sleep(pause)
            pause = min(pause * 2, 0.02)

    def thaw(self) -> None:
        self._require_freezer()
        files.write(self._freezer, "freezer.state", "THAWED")

    def frozen(self) -> bool:
        return files.read_present(self._freezer, "freezer.state") in ("FROZEN", "FREEZING")

    def kill(self) -> None:
        if not self._everywhere():
            # Only a process of the group could put another one there.
            return
        freezer = self._freezer if os.path.isdir(self._freezer or "/nowhere") else ""
        # Frozen processes cannot exit, so no listed pid can have been given to another process.
        if freezer:
            self._freeze(_FREEZE_TO_KILL_SECONDS)
        for pid in self._everywhere():
            files.kill(pid)
        if freezer:
            self.thaw()
            self._release()

    def _everywhere(self) -> list[int]:
        """Processes of the group on any hierarchy: each may have been moved on some of them."""
        found = {pid for directory in self._unique for pid in files.processes(directory)}
        return sorted(found)

    def _release(self) -> None:
        """Let killed processes end that somebody froze: in another group, above or below this.

        A process that changes groups takes on the state of the new one.
        """
        top = self._hierarchies.v1["freezer"]
        held = files.read_or(self._freezer, "freezer.parent_freezing", "") == "1"
        within = files.read_present(self._freezer, "cgroup.procs").split()
        for pid in self._everywhere():
            if held or str(pid) not in within:
                try:
                    files.write(top if held else self._freezer, "cgroup.procs", str(pid))
                except OSError as failure:
                    if failure.errno != errno.ESRCH:
                        raise

    def processes(self) -> list[int]:
        return files.processes(self._listing) if self._listing else []

    def delegate(self, uid: int) -> None:
        """Nothing: who owns a group of version 1 could lift its limits (OCI runtime spec)."""
        del uid

    def oom_kills(self) -> int:
        memory = self._directories.get("memory")
        if memory is None:
            return 0
        # The count is in this file since kernel 4.13.
        return files.flat_keyed(files.read_or(memory, "memory.oom_control", "")).get("oom_kill", 0)

    def stats(self) -> "CgroupStats":
        from boxship.runtime.cgroups.stats_v1 import read_stats  # noqa: PLC0415 - not to start

        return read_stats(self._directories)

    def remove(self) -> None:
        deadline = time.monotonic() + _REMOVE_SECONDS
        for directory in self._unique:
            files.remove(directory, deadline)

    def mounts(self) -> tuple[CgroupMount, ...]:
        return legacy_mounts(self._hierarchies, lambda _controller: self.path)

    def _require_freezer(self) -> None:
        if not self._freezer:
            raise files.missing("freezer", "freezer.state", self.path)


def _make(directory: str, depth: int, *, cpuset: bool) -> None:
    """Make a group and those above it; depth is how many of its names are ours to make."""
    for tries_left in range(_TRIES, -1, -1):
        try:
            _make_one(directory)
            if cpuset:
                _inherit_cpuset(directory, depth)
        except FileNotFoundError:
            # Somebody may sweep up the empty group above before this one is in it.
            if depth <= 1 or not tries_left:
                raise
            _make(os.path.dirname(directory), depth - 1, cpuset=cpuset)
        else:
            return


def _make_one(directory: str) -> None:
    try:
        os.mkdir(directory, 0o755)
    except FileExistsError:
        return


def _inherit_cpuset(directory: str, depth: int) -> None:
    """Fill an empty cpuset from the group above: until then no process can be put into it."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if files.read(directory, name):
            continue
        parent = os.path.dirname(directory)
        value = files.read(parent, name)
        if not value and depth > 1:
            _inherit_cpuset(parent, depth - 1)
            value = files.read(parent, name)
        files.write(directory, name, value)
