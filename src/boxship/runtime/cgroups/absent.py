"""A container without a control group: its maker may not make one (rootless use), or would not.

Its processes are found by their pid namespace; what needs a group is refused.
"""

import os

from boxship.errors import UnsupportedError
from boxship.runtime.cgroups import files
from boxship.runtime.cgroups.own import own_paths
from boxship.runtime.cgroups.values import CgroupMount, Hierarchies, legacy_mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from boxship.runtime.cgroups.stats import CgroupStats

_HINT = (
    "leave it out, or let it have one: a cgroup v2 subtree that is delegated to this user, "
    "--cgroup-manager cgroupfs"
)
_UNSET = (None, 0, -1, "", False)


class AbsentCgroup:
    """No group; see `api.Cgroup`."""

    path = ""

    def __init__(
        self,
        hierarchies: Hierarchies,
        pid: int = 0,
        start_time: int = 0,
        *,
        by_choice: bool = False,
    ) -> None:
        """Name the container by its first process.

        Args:
            hierarchies: from `detect`.
            pid: 0 before there is one.
            start_time: of that process, so that a re-used pid is not taken for it.
            by_choice: there could be one; so device rules, which only a group has, are refused.
        """
        self.version = hierarchies.version
        self._hierarchies = hierarchies
        self._by_choice = by_choice
        self._pid = pid
        self._start_time = start_time

    def exists(self) -> bool:
        return False

    def permitted(self) -> bool:
        return True

    def create(self) -> None:
        return

    def apply(self, resources: "Mapping[str, Any]") -> tuple[str, ...]:
        # Nodes of the host are as open as to the user: a user namespace opens none.
        left_out = () if self._by_choice else ("devices",)
        asked = [n for n, value in resources.items() if n not in left_out and _is_set(value)]
        if asked:
            raise _missing(f"set linux.resources.{asked[0]}")
        return ()

    def add(self, pid: int) -> None:
        del pid

    def enter(self) -> None:
        return

    def open_directory(self) -> int:
        return -1

    def delegate(self, uid: int) -> None:
        del uid

    def freeze(self) -> None:
        raise _missing("pause")

    def thaw(self) -> None:
        raise _missing("resume")

    def frozen(self) -> bool:
        return False

    def kill(self) -> None:
        for pid in self.processes():
            files.kill(pid)

    def processes(self) -> list[int]:
        if not self._pid or _stat(self._pid)[1] != self._start_time:
            return []
        space = _pid_namespace(str(self._pid))
        if space in ("", _pid_namespace("self")):
            return self._with_children()
        return [pid for pid in _pids() if _pid_namespace(str(pid)) == space]

    def oom_kills(self) -> int:
        return 0

    def stats(self) -> "CgroupStats":
        raise _missing("count")

    def remove(self) -> None:
        return

    def mounts(self) -> tuple[CgroupMount, ...]:
        """The group it was started in: it is in that one too."""
        paths = own_paths()
        if self.version == 2:
            source = self._hierarchies.unified + paths.get("", "/")
            return (CgroupMount("cgroup2", "", "", source),)
        return legacy_mounts(self._hierarchies, lambda name: paths.get(name, "/"))

    def _with_children(self) -> list[int]:
        parents = {pid: _stat(pid)[0] for pid in _pids()}
        found = [self._pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found


def _is_set(value: object) -> bool:
    if isinstance(value, dict):
        return any(_is_set(inner) for inner in value.values())
    if isinstance(value, list):
        return bool(value)
    return value not in _UNSET


def _missing(what: str) -> UnsupportedError:
    msg = f"cannot {what}: this container has no control group"
    return UnsupportedError(msg, hint=_HINT)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - slow


def _pid_namespace(pid: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")  # noqa: PTH115 - pathlib is slow to import
    except OSError:
        # Gone, or somebody else's.
        return ""


def _stat(pid: int) -> tuple[int, int]:
    """Parent and start time (proc(5), fields 4 and 22); zeros when it has ended."""
    fields = files.read_or(f"/proc/{pid}", "stat", "").rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in "ZX":
        return 0, 0
    return int(fields[1]), int(fields[19])
