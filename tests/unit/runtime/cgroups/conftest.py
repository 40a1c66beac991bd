"""Control groups on plain directories: what is written can be read back, files must exist."""

from pathlib import Path

import pytest

from boxship.runtime.cgroups import Hierarchies

V1_FILES = {
    "cpu": ("cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us"),
    "cpuset": ("cpuset.cpus", "cpuset.mems"),
    "devices": ("devices.allow", "devices.deny"),
    "freezer": ("freezer.state",),
    "memory": ("memory.limit_in_bytes", "memory.soft_limit_in_bytes", "memory.oom_control"),
    "blkio": ("blkio.throttle.read_bps_device",),
    "pids": ("pids.max",),
}


class FakeTree:
    """A directory that looks like the mounted hierarchies of one host."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def v1(self) -> Hierarchies:
        for name in V1_FILES:
            (self.root / name).mkdir()
        return Hierarchies({name: str(self.root / name) for name in V1_FILES}, "", ())

    def v2(self, *controllers: str) -> Hierarchies:
        for name in ("cgroup.subtree_control", "cgroup.controllers"):
            (self.root / name).write_text(" ".join(controllers), encoding="ascii")
        return Hierarchies({}, str(self.root), controllers)

    def put(self, path: str, *names: str) -> None:
        """Make a group with empty control files, as the kernel would on mkdir."""
        (self.root / path).mkdir(parents=True, exist_ok=True)
        for name in names:
            (self.root / path / name).touch()

    def read(self, path: str) -> str:
        return (self.root / path).read_text(encoding="ascii")


@pytest.fixture
def tree(tmp_path: Path) -> FakeTree:
    root = tmp_path / "cgroup"
    root.mkdir()
    return FakeTree(root)
