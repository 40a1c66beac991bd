"""Cgroup version 2: one directory for every controller.

Documentation/admin-guide/cgroup-v2.rst in the kernel tree.
"""
# The launcher imports this, and pathlib costs more than a container's group.
# ruff: noqa: PTH102, PTH112, PTH120

import errno
import os
import time

from boxship.errors import ConflictError
from boxship.runtime.cgroups import files
from boxship.runtime.cgroups.limits_v2 import apply_limits
from boxship.runtime.cgroups.values import CgroupMount, Hierarchies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from boxship.runtime.cgroups.devices import DeviceRule
    from boxship.runtime.cgroups.stats import CgroupStats

    DeviceDoor = Callable[[int, tuple[DeviceRule, ...]], None]

_FREEZE_SECONDS = 2.0
_TRIES = 8
_REMOVE_SECONDS = 0.5
# Not there, or not ours to pass on: above a subtree that was delegated to an ordinary user.
_KEPT_BACK = frozenset(
    (
        errno.EBUSY,
        errno.ENOENT,
        errno.EINVAL,
        errno.EOPNOTSUPP,
        errno.EACCES,
        errno.EPERM,
    )
)
_DELEGATED = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]
_WANTED = ("cpuset", "cpu", "io", "memory", "pids", "hugetlb", "rdma")


class UnifiedCgroup:
    """A group on the v2 hierarchy; see `api.Cgroup`."""

    version = 2

    def __init__(
        self, hierarchies: Hierarchies, path: str, restrict_devices: "DeviceDoor | None" = None
    ) -> None:
        self.path = path
        self._root = hierarchies.unified
        self._directory = hierarchies.unified + path
        self._host = hierarchies.controllers
        self._wanted = tuple(name for name in _WANTED if name in self._host)
        self._full = False
        self._restrict_devices = restrict_devices or _restrict_devices

    def exists(self) -> bool:
        return os.path.isdir(self._directory)

    def permitted(self) -> bool:
        from boxship.runtime.cgroups import own  # noqa: PLC0415 - root need not ask

        # Who moves a process must be able to write to the groups' common ancestor as well.
        common = own.common_group(own.own_paths().get("", "/"), self.path)
        return own.can_make(self._directory) and own.can_enter(self._root + common.rstrip("/"))

    def create(self) -> None:
        if not self._make():
            return
        offered = files.read_or(self._directory, "cgroup.controllers", "").split()
        if any(name not in offered for name in self._wanted):
            self._make_parents()

    def apply(self, resources: "Mapping[str, Any]") -> tuple[str, ...]:
        self._enable(resources.get("unified") or ())
        self._full = (resources.get("pids") or {}).get("limit") == 0
        return apply_limits(self._directory, self.path, resources, self._restrict)

    def add(self, pid: int) -> None:
        files.write(self._directory, "cgroup.procs", str(pid))

    def enter(self) -> None:
        # A domain group has no per-thread entry: clone(CLONE_INTO_CGROUP) is the fast way in.
        files.write(self._directory, "cgroup.procs", "0")

    def open_directory(self) -> int:
        # No process can be born where none may be, but one can move in.
        return -1 if self._full else self._open()

    def _open(self) -> int:
        return os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def delegate(self, uid: int) -> None:
        # `config-linux`, "Cgroup ownership": these files only, or the user could lift the limits.
        listed = files.read_or("/sys/kernel/cgroup", "delegate", "").split() or _DELEGATED
        for name in ("", *listed):
            try:
                os.chown(f"{self._directory}/{name}", uid, -1)
            except FileNotFoundError:
                # The list names files of controllers that a group may lack.
                continue

    def freeze(self) -> None:
        files.write(self._directory, "cgroup.freeze", "1")
        if not self._wait("frozen", 1):
            self.thaw()
            raise ConflictError(f"cannot freeze cgroup {self.path}: its processes do not stop")

    def thaw(self) -> None:
        files.write(self._directory, "cgroup.freeze", "0")

    def frozen(self) -> bool:
        if files.read_present(self._directory, "cgroup.freeze") == "1":
            return True
        return self._events("cgroup.events").get("frozen") == 1

    def kill(self) -> None:
        try:
            # Atomic against forks, and it kills frozen processes too (kernel 5.14).
            files.write(self._directory, "cgroup.kill", "1")
        except FileNotFoundError:
            for pid in self.processes():
                files.kill(pid)

    def processes(self) -> list[int]:
        return files.processes(self._directory)

    def oom_kills(self) -> int:
        return self._events("memory.events").get("oom_kill", 0)

    def stats(self) -> "CgroupStats":
        from boxship.runtime.cgroups.stats_v2 import read_stats  # noqa: PLC0415 - not to start

        return read_stats(self._directory)

    def remove(self) -> None:
        files.remove(self._directory, time.monotonic() + _REMOVE_SECONDS)

    def mounts(self) -> tuple[CgroupMount, ...]:
        return (CgroupMount("cgroup2", "", "", self._directory, ()),)

    def _make(self) -> bool:
        """Make the group and those above it; False when it is there."""
        for _ in range(_TRIES):
            if not os.path.isdir(os.path.dirname(self._directory)):
                self._make_parents()
            try:
                return _make(self._directory)
            except FileNotFoundError:
                # Somebody swept up the empty group above before this one was in it.
                continue
        return _make(self._directory)

    def _enable(self, names: "Iterable[str]") -> None:
        """Hand down what only files that are named one by one need (misc, dmem, ...)."""
        asked = {name.partition(".")[0] for name in names}
        further = tuple(name for name in self._host if name in asked and name not in self._wanted)
        if further:
            self._wanted += further
            self._make_parents()

    def _make_parents(self) -> None:
        """Make the groups above this one and pass the controllers down to it.

        A group that refuses (it has processes of its own: the engine itself runs in a container)
        ends the handing down; `apply` then names the controller a limit lacks.
        """
        directory = self._root
        for name in self.path.split("/")[1:]:
            _hand_down(directory, self._wanted)
            directory = f"{directory}/{name}"
            if directory != self._directory:
                _make(directory)

    def _restrict(self, rules: "tuple[DeviceRule, ...]") -> None:
        descriptor = self._open()
        try:
            self._restrict_devices(descriptor, rules)
        finally:
            os.close(descriptor)

    def _events(self, name: str) -> dict[str, int]:
        return files.flat_keyed(files.read_or(self._directory, name, ""))

    def _wait(self, event: str, value: int) -> bool:
        deadline = time.monotonic() + _FREEZE_SECONDS
        pause = 0.0002
        while self._events("cgroup.events").get(event) != value:
            if time.monotonic() > deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 0.02)
        return True


def _make(directory: str) -> bool:
    """Make a directory; False when it is there."""
    try:
        os.mkdir(directory, 0o755)
    except FileExistsError:
        return False
    return True


def _hand_down(directory: str, wanted: tuple[str, ...]) -> None:
    # The kernel would hand down the threaded controllers (cpu, cpuset, pids) of a group that has
    # processes, and by that make the groups below it `domain invalid`: nothing can enter them.
    # The root alone may have both, and it has no type.
    if files.read_or(directory, "cgroup.type", "") and files.read_or(directory, "cgroup.procs", ""):
        return
    enabled = files.read_or(directory, "cgroup.subtree_control", "").split()
    for name in wanted:
        if name in enabled:
            continue
        try:
            # One at a time, so that one refusal does not take the others with it.
            files.write(directory, "cgroup.subtree_control", f"+{name}")
        except OSError as failure:
            if failure.errno not in _KEPT_BACK:
                raise


def _restrict_devices(cgroup: int, rules: "tuple[DeviceRule, ...]") -> None:
    """Put a device filter in place of those a former `apply` attached.

    The new one goes in first: for a moment both have to agree, and no moment is without.
    """
    from boxship.kernel import bpf  # noqa: PLC0415 - only v2 hosts need it

    former = bpf.attached_device_programs(cgroup)
    program = bpf.load_device_program(bpf.device_program(rules))
    try:
        bpf.attach_device_program(cgroup, program)
    finally:
        os.close(program)
    for identifier in former:
        program = bpf.open_program(identifier)
        try:
            bpf.detach_device_program(cgroup, program)
        finally:
            os.close(program)
