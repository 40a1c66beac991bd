"""Every limit of `linux.resources` on the version 1 hierarchies of this host."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from boxship.errors import BoxshipError, InvalidArgumentError, UnsupportedError
from boxship.runtime.cgroups import Hierarchies, detect, open_cgroup
from boxship.runtime.cgroups.api import Cgroup

_MIB = 1 << 20
pytestmark = [pytest.mark.root, pytest.mark.cgroup1]


def _hierarchies() -> Hierarchies:
    return Hierarchies(detect().v1, "", ())


@pytest.fixture
def group() -> Iterator[Cgroup]:
    missing = {"cpu", "cpuset", "devices", "memory", "pids"} - set(_hierarchies().v1)
    if missing:
        pytest.skip(f"needs v1 hierarchies: {', '.join(sorted(missing))}")
    # Below the groups that are boxship's own, where real-time budgets are granted.
    made = open_cgroup(_hierarchies(), f"/boxship/v1-{os.getpid()}")
    made.create()
    yield made
    made.kill()
    made.remove()


def _file(group: Cgroup, name: str) -> Path:
    controller = name.partition(".")[0]
    return Path(f"{_hierarchies().v1[controller]}{group.path}/{name}")


def _read(group: Cgroup, name: str) -> str:
    return _file(group, name).read_text(encoding="ascii").strip()


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"memory": {"limit": 64 * _MIB}}, {"memory.limit_in_bytes": str(64 * _MIB)}),
        (
            {"memory": {"limit": 64 * _MIB, "swap": 96 * _MIB}},
            {"memory.memsw.limit_in_bytes": str(96 * _MIB)},
        ),
        (
            {"memory": {"limit": 64 * _MIB, "swap": 0}},
            {"memory.memsw.limit_in_bytes": str(64 * _MIB)},
        ),
        ({"memory": {"reservation": 8 * _MIB}}, {"memory.soft_limit_in_bytes": str(8 * _MIB)}),
        ({"memory": {"swappiness": 0}}, {"memory.swappiness": "0"}),
        ({"memory": {"kernelTCP": 4 * _MIB}}, {"memory.kmem.tcp.limit_in_bytes": str(4 * _MIB)}),
        ({"cpu": {"shares": 512}}, {"cpu.shares": "512"}),
        (
            {"cpu": {"quota": 50000, "period": 200000, "burst": 10000}},
            {"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "200000"},
        ),
        ({"cpu": {"quota": -1}}, {"cpu.cfs_quota_us": "-1"}),
        ({"cpu": {"quota": 50000, "burst": 10000}}, {"cpu.cfs_burst_us": "10000"}),
        ({"cpu": {"idle": 1}}, {"cpu.idle": "1"}),
        ({"cpu": {"cpus": "0", "mems": "0"}}, {"cpuset.cpus": "0", "cpuset.mems": "0"}),
        ({"pids": {"limit": 7}}, {"pids.max": "7"}),
        ({"pids": {"limit": 0}}, {"pids.max": "0"}),
        ({"pids": {"limit": -1}}, {"pids.max": "max"}),
    ],
    ids=str,
)
def test_a_limit_is_set(group: Cgroup, resources: Any, expected: dict[str, str]) -> None:
    missing = [name for name in expected if not _file(group, name).exists()]
    if missing:
        pytest.skip(f"this kernel has no {missing[0]}")
    assert group.apply(resources) == ()
    assert {name: _read(group, name) for name in expected} == expected


def test_unlimited_memory_takes_the_bound_with_swap_away(group: Cgroup) -> None:
    group.apply({"memory": {"limit": 64 * _MIB, "swap": 64 * _MIB}})
    group.apply({"memory": {"limit": -1}})
    assert int(_read(group, "memory.limit_in_bytes")) > 1 << 60
    assert int(_read(group, "memory.memsw.limit_in_bytes")) > 1 << 60


def test_the_oom_killer_is_switched_off_and_on(group: Cgroup) -> None:
    group.apply({"memory": {"limit": 64 * _MIB, "disableOOMKiller": True}})
    assert "oom_kill_disable 1" in _read(group, "memory.oom_control")
    group.apply({"memory": {"disableOOMKiller": False}})
    assert "oom_kill_disable 0" in _read(group, "memory.oom_control")


def test_a_hierarchy_of_memory(group: Cgroup) -> None:
    assert group.apply({"memory": {"useHierarchy": True}}) == ()
    if (group_file := _file(group, "memory.use_hierarchy")).exists():
        assert group_file.read_text(encoding="ascii").strip() == "1"
    with pytest.raises(BoxshipError, match=r"memory\.use_hierarchy"):
        group.apply({"memory": {"useHierarchy": False}})


def test_kernel_memory_is_limited_or_the_user_is_told(group: Cgroup) -> None:
    warnings = group.apply({"memory": {"kernel": 32 * _MIB}})
    limited = _read(group, "memory.kmem.limit_in_bytes") == str(32 * _MIB)
    assert bool(warnings) != limited


def test_a_burst_goes_with_its_quota(group: Cgroup) -> None:
    group.apply({"cpu": {"quota": 50000, "burst": 40000}})
    group.apply({"cpu": {"quota": 20000, "burst": 10000}})
    assert _read(group, "cpu.cfs_burst_us") == "10000"


def test_a_shorter_period_with_its_quota(group: Cgroup) -> None:
    group.apply({"cpu": {"quota": 200000, "period": 200000}})
    group.apply({"cpu": {"quota": 1000, "period": 1000}})
    assert _read(group, "cpu.cfs_period_us") == "1000"


def test_shares_and_idle_together(group: Cgroup) -> None:
    group.apply({"cpu": {"idle": 1}})
    group.apply({"cpu": {"shares": 2048, "idle": 0}})
    assert (_read(group, "cpu.idle"), _read(group, "cpu.shares")) == ("0", "2048")


def test_a_real_time_budget_is_granted_from_the_top(group: Cgroup) -> None:
    if not _file(group, "cpu.rt_runtime_us").exists():
        pytest.skip("this kernel has no real-time group scheduling")
    group.apply({"cpu": {"realtimeRuntime": 1000, "realtimePeriod": 100000}})
    assert _read(group, "cpu.rt_runtime_us") == "1000"
    assert _read(group, "cpu.rt_period_us") == "100000"
    with pytest.raises(InvalidArgumentError, match=r"cpu\.rt_runtime_us"):
        group.apply({"cpu": {"realtimeRuntime": 99999}})


def test_throttles_of_a_device(group: Cgroup) -> None:
    number = os.stat("/").st_dev  # noqa: PTH116 - only its number
    device = {"major": os.major(number), "minor": os.minor(number)}
    group.apply({"blockIO": {"throttleReadBpsDevice": [{**device, "rate": 4096}]}})
    line = f"{device['major']}:{device['minor']} 4096"
    assert _read(group, "blkio.throttle.read_bps_device") == line
    group.apply({"blockIO": {"throttleReadBpsDevice": [{**device, "rate": 0}]}})
    assert _read(group, "blkio.throttle.read_bps_device") == ""


def test_weights_are_set_or_the_user_is_told(group: Cgroup) -> None:
    warnings = group.apply({"blockIO": {"weight": 500, "leafWeight": 300}})
    found = [name for name in ("bfq.weight", "weight") if _file(group, f"blkio.{name}").exists()]
    assert len(warnings) == 2 - bool(found)


@pytest.mark.parametrize(
    ("resources", "text"),
    [
        ({"unified": {"memory.high": "1"}}, "memory.high"),
        ({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}, r"hugetlb\.3MB"),
        ({"rdma": {"boxship0": {"hcaHandles": 1}}}, r"rdma\.max"),
        ({"network": {"priorities": [{"name": "boxship0", "priority": 1}]}}, "ifpriomap"),
        ({"cpu": {"cpus": "999"}}, r"cpuset\.cpus"),
        ({"cpu": {"quota": 1}}, r"cpu\.cfs_quota_us"),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_named(group: Cgroup, resources: Any, text: str) -> None:
    with pytest.raises(BoxshipError, match=text):
        group.apply(resources)


def _open(group: Cgroup, path: str, flags: int) -> int:
    """0 when a process of the group can open a device, 1 when it may not."""
    pid = os.fork()
    if pid == 0:
        group.enter()
        try:
            os.open(path, flags)
        except PermissionError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _rules(*words: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    for word in words:
        kind, major, minor, access = word.removeprefix("-").split()
        numbers = {"major": int(major), "minor": int(minor)}
        entries.append({"allow": word[0] != "-", "type": kind, "access": access, **numbers})
    return entries


@pytest.mark.parametrize(
    ("rules", "flags", "verdict"),
    [
        (["c 1 11 r"], os.O_RDONLY, 0),
        (["c 1 11 r"], os.O_RDWR, 1),
        (["c 1 11 r", "c 1 11 w"], os.O_RDWR, 0),
        (["c 1 -1 rw"], os.O_RDWR, 0),
        (["c -1 11 rw"], os.O_RDWR, 0),
        (["b 1 11 rw"], os.O_RDONLY, 1),
        (["c 1 11 rw", "-c 1 11 w"], os.O_RDONLY, 0),
        (["c 1 11 rw", "-c 1 11 w"], os.O_RDWR, 1),
        (["c 1 11 rw", "-c 1 -1 rwm"], os.O_RDONLY, 1),
        (["-c 1 11 rwm", "c 1 -1 rw"], os.O_RDWR, 0),
    ],
    ids=str,
)
def test_device_rules_apply_in_order(
    group: Cgroup, rules: list[str], flags: int, verdict: int
) -> None:
    group.apply({"devices": _rules(*rules)})
    assert _open(group, "/dev/kmsg", flags) == verdict


def test_a_list_without_a_rule_for_everything_denies_the_rest(group: Cgroup) -> None:
    group.apply({"devices": _rules("c 1 9 r")[1:]})
    assert _open(group, "/dev/kmsg", os.O_RDONLY) == 1
    assert _open(group, "/dev/null", os.O_RDWR) == 0


def test_everything_but_one_device(group: Cgroup) -> None:
    group.apply({"devices": [{"allow": True, "access": "rwm"}, *_rules("-c 1 11 w")[1:]]})
    assert _open(group, "/dev/kmsg", os.O_RDONLY) == 0
    assert _open(group, "/dev/kmsg", os.O_WRONLY) == 1


def test_a_hole_in_a_wider_rule_is_refused(group: Cgroup) -> None:
    with pytest.raises(UnsupportedError, match="cannot deny devices c 1:11 w"):
        group.apply({"devices": _rules("c 1 -1 rw", "-c 1 11 w")})
