"""Every limit of `linux.resources` on a version 2 hierarchy that owns the controllers."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.runtime.cgroups import detect, open_cgroup
from boxship.runtime.cgroups.api import Cgroup

_PARENT = f"/boxship-v2-{os.getpid()}"
_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")
_MIB = 1 << 20
pytestmark = [
    pytest.mark.root,
    pytest.mark.cgroup2,
    pytest.mark.skipif(
        detect().version != 2 or not set(_CONTROLLERS) <= set(detect().controllers),
        reason="needs a v2 hierarchy that owns the controllers: see docs/cgroups.md",
    ),
]


@pytest.fixture
def group() -> Iterator[Cgroup]:
    made = open_cgroup(detect(), f"{_PARENT}/one/two")
    made.create()
    yield made
    made.kill()
    open_cgroup(detect(), _PARENT).remove()


def _directory(group: Cgroup) -> Path:
    return Path(detect().unified + group.path)


def _read(group: Cgroup, name: str) -> str:
    return (_directory(group) / name).read_text(encoding="ascii").strip()


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"memory": {"limit": 64 * _MIB}}, {"memory.max": str(64 * _MIB)}),
        (
            {"memory": {"limit": 64 * _MIB, "swap": 96 * _MIB}},
            {"memory.max": str(64 * _MIB), "memory.swap.max": str(32 * _MIB)},
        ),
        (
            {"memory": {"limit": 64 * _MIB, "swap": -1}},
            {"memory.max": str(64 * _MIB), "memory.swap.max": "max"},
        ),
        ({"memory": {"limit": -1}}, {"memory.max": "max"}),
        ({"memory": {"reservation": 8 * _MIB}}, {"memory.low": str(8 * _MIB)}),
        ({"cpu": {"shares": 1024}}, {"cpu.weight": "100"}),
        ({"cpu": {"shares": 2}}, {"cpu.weight": "1"}),
        ({"cpu": {"shares": 262144}}, {"cpu.weight": "10000"}),
        ({"cpu": {"quota": 50000, "period": 200000}}, {"cpu.max": "50000 200000"}),
        ({"cpu": {"quota": -1}}, {"cpu.max": "max 100000"}),
        ({"cpu": {"quota": 50000, "burst": 10000}}, {"cpu.max.burst": "10000"}),
        ({"cpu": {"idle": 1}}, {"cpu.idle": "1"}),
        ({"cpu": {"cpus": "0", "mems": "0"}}, {"cpuset.cpus": "0", "cpuset.mems": "0"}),
        ({"pids": {"limit": 7}}, {"pids.max": "7"}),
        ({"pids": {"limit": -1}}, {"pids.max": "max"}),
        ({"unified": {"memory.oom.group": "1"}}, {"memory.oom.group": "1"}),
        ({"unified": {"memory.high": str(32 * _MIB)}}, {"memory.high": str(32 * _MIB)}),
    ],
    ids=str,
)
def test_a_limit_is_set(group: Cgroup, resources: Any, expected: dict[str, str]) -> None:
    assert group.apply(resources) == ()
    assert {name: _read(group, name) for name in expected} == expected


@pytest.mark.parametrize("quota", [30000, -1])
def test_an_update_of_a_quota_alone_keeps_the_period(group: Cgroup, quota: int) -> None:
    group.apply({"cpu": {"quota": 50000, "period": 200000}})
    group.apply({"cpu": {"quota": quota}})
    assert _read(group, "cpu.max") == f"{quota if quota > 0 else 'max'} 200000"


def test_an_update_of_a_period_alone_keeps_the_quota(group: Cgroup) -> None:
    group.apply({"cpu": {"quota": 50000}})
    group.apply({"cpu": {"period": 200000}})
    assert _read(group, "cpu.max") == "50000 200000"


def test_shares_and_idle_together(group: Cgroup) -> None:
    # The kernel refuses a weight while the group is idle.
    group.apply({"cpu": {"idle": 1}})
    group.apply({"cpu": {"shares": 2048, "idle": 0}})
    assert _read(group, "cpu.idle") == "0"
    assert int(_read(group, "cpu.weight")) > 100


def test_a_burst_goes_with_its_quota(group: Cgroup) -> None:
    group.apply({"cpu": {"quota": 50000, "burst": 40000}})
    group.apply({"cpu": {"quota": 20000, "burst": 10000}})
    assert _read(group, "cpu.max.burst") == "10000"


@pytest.mark.parametrize("level", ["", "/one", "/one/two"])
def test_controllers_reach_every_level(group: Cgroup, level: str) -> None:
    offered = (Path(detect().unified + _PARENT + level) / "cgroup.controllers").read_text()
    assert set(_CONTROLLERS) <= set(offered.split())
    enabled = (_directory(group) / "cgroup.subtree_control").read_text().split()
    assert enabled == []


def test_huge_pages(group: Cgroup) -> None:
    if "hugetlb" not in detect().controllers:
        pytest.skip("needs the hugetlb controller")
    group.apply({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * _MIB}]})
    assert _read(group, "hugetlb.2MB.max") == str(4 * _MIB)


def test_a_weight_of_block_io_warns_or_is_set(group: Cgroup) -> None:
    warnings = group.apply({"blockIO": {"weight": 500}})
    values = [
        _read(group, name)
        for name in ("io.bfq.weight", "io.weight")
        if (_directory(group) / name).exists()
    ]
    assert warnings or values[0] in ("default 500", "default 4950")


@pytest.mark.parametrize(
    "resources",
    [{"cpu": {"cpus": "999"}}, {"cpu": {"quota": 1}}, {"unified": {"memory.max": "lots"}}],
    ids=str,
)
def test_a_refused_value_is_named(group: Cgroup, resources: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=group.path):
        group.apply(resources)


def test_what_version_2_lacks_is_refused(group: Cgroup) -> None:
    with pytest.raises(UnsupportedError, match="real-time"):
        group.apply({"cpu": {"realtimeRuntime": 1000}})
    with pytest.raises(UnsupportedError, match="no-such"):
        group.apply({"unified": {"no-such.file": "1"}})


def _run(group: Cgroup, work: Any) -> int:
    pid = os.fork()
    if pid == 0:
        group.enter()
        os._exit(work())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _fork_once() -> int:
    try:
        pid = os.fork()
    except BlockingIOError:
        return 7
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return 0


def _use_memory() -> int:
    ballast = bytearray(64 * _MIB)
    ballast[::4096] = b"x" * (len(ballast) // 4096)
    return 0


def test_the_limit_of_processes_holds(group: Cgroup) -> None:
    group.apply({"pids": {"limit": 1}})
    assert _run(group, _fork_once) == 7
    assert group.stats().pids_limit == 1
    group.apply({"pids": {"limit": 2}})
    assert _run(group, _fork_once) == 0


def test_out_of_memory_is_counted(group: Cgroup) -> None:
    group.apply({"memory": {"limit": 16 * _MIB, "swap": 16 * _MIB}})
    assert _run(group, _use_memory) == -signal.SIGKILL
    assert group.oom_kills() == 1
    assert group.stats().memory_limit == 16 * _MIB


def test_the_cpus_are_the_given_ones(group: Cgroup) -> None:
    group.apply({"cpu": {"cpus": "0"}})
    assert _run(group, lambda: 0 if os.sched_getaffinity(0) == {0} else 1) == 0


def test_out_of_memory_below_the_group_counts(group: Cgroup) -> None:
    inner = open_cgroup(detect(), group.path + "/inner")
    inner.create()
    inner.apply({"memory": {"limit": 16 * _MIB, "swap": 16 * _MIB}})
    assert _run(inner, _use_memory) == -signal.SIGKILL
    assert group.oom_kills() == 1


def test_rules_of_devices_are_replaced_not_piled_up(group: Cgroup) -> None:
    for _ in range(3):
        group.apply({"devices": [{"allow": False, "access": "rwm"}]})
    group.apply({"devices": [{"allow": True, "access": "rwm"}]})
    assert _run(group, lambda: os.close(os.open("/dev/kmsg", os.O_RDONLY)) or 0) == 0


def test_a_group_below_one_with_processes_can_be_entered(group: Cgroup) -> None:
    below = open_cgroup(detect(), group.path + "/below")

    def make_and_enter() -> int:
        below.create()
        below.enter()
        return 0

    assert _run(group, make_and_enter) == 0
    assert _read(below, "cgroup.type") == "domain"
    assert _read(group, "cgroup.subtree_control") == ""
    with pytest.raises(UnsupportedError, match="the pids controller is not available"):
        below.apply({"pids": {"limit": 7}})


def _open(path: str, flags: int) -> int:
    try:
        os.close(os.open(path, flags))
    except PermissionError:
        return 1
    return 0


@pytest.mark.parametrize(
    ("rules", "flags", "verdict"),
    [
        (["c 1 11 r"], os.O_RDONLY, 0),
        (["c 1 11 r"], os.O_RDWR, 1),
        (["c 1 11 r", "c 1 11 w"], os.O_RDWR, 0),
        (["c 1 -1 rw"], os.O_RDWR, 0),
        (["c -1 11 rw"], os.O_RDWR, 0),
        (["b 1 11 rw"], os.O_RDONLY, 1),
        (["c 1 -1 rw", "-c 1 11 w"], os.O_RDONLY, 0),
        (["c 1 -1 rw", "-c 1 11 w"], os.O_RDWR, 1),
        (["-c 1 11 rwm", "c 1 -1 rw"], os.O_RDWR, 0),
    ],
    ids=str,
)
def test_device_rules_apply_in_order(
    group: Cgroup, rules: list[str], flags: int, verdict: int
) -> None:
    entries: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    for rule in rules:
        kind, major, minor, access = rule.removeprefix("-").split()
        numbers = {"major": int(major), "minor": int(minor)}
        entries.append({"allow": rule[0] != "-", "type": kind, "access": access, **numbers})
    group.apply({"devices": entries})
    assert _run(group, lambda: _open("/dev/kmsg", flags)) == verdict


def test_no_processes_is_a_limit(group: Cgroup) -> None:
    group.apply({"pids": {"limit": 0}})
    assert _read(group, "pids.max") == "0"
    # Nothing can be born in the group; what moves in runs, and forks nothing.
    assert group.open_directory() == -1
    assert _run(group, _fork_once) == 7


def test_a_limit_below_the_usage_can_be_refused(group: Cgroup) -> None:
    def grow() -> int:
        ballast = bytearray(24 * _MIB)
        ballast[::4096] = b"x" * (len(ballast) // 4096)
        os.write(ready, b"!")
        signal.pause()
        return len(ballast)

    started, ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        group.enter()
        os._exit(grow())
    try:
        assert os.read(started, 1) == b"!"
        with pytest.raises(InvalidArgumentError, match="it uses"):
            group.apply({"memory": {"limit": 8 * _MIB, "checkBeforeUpdate": True}})
        assert _read(group, "memory.max") == "max"
        group.apply({"memory": {"limit": 64 * _MIB, "checkBeforeUpdate": True}})
        assert os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is None
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(started)
        os.close(ready)


@pytest.mark.parametrize(
    "memory",
    [{"swappiness": 10}, {"disableOOMKiller": True}, {"useHierarchy": False}, {"kernelTCP": 1}],
    ids=str,
)
def test_memory_options_that_version_2_lacks(group: Cgroup, memory: dict[str, int]) -> None:
    with pytest.raises(UnsupportedError, match=rf"memory\.{next(iter(memory))}"):
        group.apply({"memory": memory})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("foo.bar", "controller `foo` is not available"),
        ("NOT-A-KEY", "has not the form"),
        ("memory.absent", "no such file or directory"),
    ],
)
def test_unified_keys_that_mean_nothing(group: Cgroup, name: str, words: str) -> None:
    with pytest.raises((UnsupportedError, InvalidArgumentError), match=words):
        group.apply({"unified": {name: "1"}})


def test_reservations_of_huge_pages(group: Cgroup) -> None:
    if not (_directory(group) / "hugetlb.2MB.rsvd.max").exists():
        pytest.skip("needs the hugetlb controller and reservations (kernel 5.7)")
    group.apply({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * _MIB}]})
    assert _read(group, "hugetlb.2MB.rsvd.max") == str(4 * _MIB)


def test_throttles_of_a_device(group: Cgroup) -> None:
    number = os.stat("/").st_dev  # noqa: PTH116 - only its number
    device = {"major": os.major(number), "minor": os.minor(number)}
    group.apply({"blockIO": {"throttleReadBpsDevice": [{**device, "rate": 4096}]}})
    assert "rbps=4096" in _read(group, "io.max")
    group.apply({"unified": {"io.max": f"{device['major']}:{device['minor']} wiops=7"}})
    assert "rbps=4096 wbps=max riops=max wiops=7" in _read(group, "io.max")
