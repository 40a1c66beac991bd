from typing import Any

import pytest

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.runtime.cgroups import Hierarchies, open_cgroup
from boxship.runtime.cgroups.limits_v2 import cpu_weight, io_weight
from boxship.runtime.cgroups.stats import IoStat
from boxship.runtime.cgroups.v2 import UnifiedCgroup

_FILES = (
    "memory.max",
    "memory.low",
    "memory.swap.max",
    "cpu.weight",
    "cpu.max",
    "cpuset.cpus",
    "pids.max",
    "io.max",
    "io.weight",
)


@pytest.mark.parametrize(
    ("shares", "weight"),
    [(0, 1), (2, 1), (512, 59), (1024, 100), (2048, 174), (262144, 10000), (300000, 10000)],
)
def test_cpu_weight_keeps_the_default(shares: int, weight: int) -> None:
    assert cpu_weight(shares) == weight


@pytest.mark.parametrize(("v1", "v2"), [(10, 1), (500, 4950), (1000, 10000), (5, 1)])
def test_io_weight(v1: int, v2: int) -> None:
    assert io_weight(v1) == v2


def test_limits_reach_their_files(tree: Any) -> None:
    group = open_cgroup(tree.v2("memory", "cpu", "pids", "io", "cpuset"), "/boxship/c1")
    tree.put("boxship/c1", *_FILES)
    warnings = group.apply(
        {
            "memory": {"limit": 4096, "swap": 12288, "reservation": 2048},
            "cpu": {"shares": 1024, "quota": 50000, "period": 100000, "cpus": "0"},
            "pids": {"limit": -1},
            "blockIO": {
                "weight": 1000,
                "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 7}],
            },
        }
    )
    assert warnings == ()
    expected = {
        "memory.max": "4096",
        "memory.swap.max": "8192",
        "memory.low": "2048",
        "cpu.weight": "100",
        "cpu.max": "50000 100000",
        "cpuset.cpus": "0",
        "pids.max": "max",
        "io.max": "8:0 wiops=7",
        "io.weight": "default 10000",
    }
    assert {name: tree.read(f"boxship/c1/{name}") for name in expected} == expected


def test_unlimited_memory_and_swap(tree: Any) -> None:
    group = open_cgroup(tree.v2("memory"), "/c1")
    tree.put("c1", *_FILES)
    group.apply({"memory": {"limit": -1, "swap": -1}})
    assert tree.read("c1/memory.max") == "max"
    assert tree.read("c1/memory.swap.max") == "max"


def test_a_period_alone_keeps_the_quota_open(tree: Any) -> None:
    group = open_cgroup(tree.v2("cpu"), "/c1")
    tree.put("c1", *_FILES)
    group.apply({"cpu": {"period": 20000}})
    assert tree.read("c1/cpu.max") == "max 20000"


@pytest.mark.parametrize("memory", [{"swap": 4096}, {"limit": 8192, "swap": 4096}])
def test_swap_needs_a_smaller_limit(tree: Any, memory: dict[str, int]) -> None:
    group = open_cgroup(tree.v2("memory"), "/c1")
    tree.put("c1", *_FILES)
    with pytest.raises(InvalidArgumentError, match="memory with swap"):
        group.apply({"memory": memory})


def test_what_this_kernel_lacks_warns(tree: Any) -> None:
    group = open_cgroup(tree.v2("memory", "io"), "/c1")
    tree.put("c1", "memory.max")
    warnings = group.apply({"memory": {"limit": 1, "swap": 2}, "blockIO": {"weight": 10}})
    assert len(warnings) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel", 4096),
        ("kernelTCP", 4096),
        ("swappiness", 0),
        ("disableOOMKiller", True),
        ("useHierarchy", False),
    ],
)
def test_memory_options_that_version_2_lacks(tree: Any, name: str, value: int) -> None:
    group = open_cgroup(tree.v2("memory"), "/c1")
    tree.put("c1", *_FILES)
    with pytest.raises(UnsupportedError, match=rf"memory\.{name} of cgroup /c1"):
        group.apply({"memory": {"limit": 4096, name: value}})
    assert tree.read("c1/memory.max") == ""


def test_what_unlimited_groups_have_anyway(tree: Any) -> None:
    group = open_cgroup(tree.v2("memory", "pids"), "/c1")
    tree.put("c1", *_FILES)
    memory = {"kernel": -1, "kernelTCP": -1, "disableOOMKiller": False, "useHierarchy": True}
    assert group.apply({"memory": memory}) == ()


def test_unlimited_memory_has_unlimited_swap(tree: Any) -> None:
    group = open_cgroup(tree.v2("memory"), "/c1")
    tree.put("c1", *_FILES)
    group.apply({"memory": {"limit": -1}})
    assert tree.read("c1/memory.swap.max") == "max"


@pytest.mark.parametrize("memory", [{"swap": 0}, {"swap": 0, "limit": 4096}], ids=str)
def test_no_swap_at_all(tree: Any, memory: dict[str, int]) -> None:
    group = open_cgroup(tree.v2("memory"), "/c1")
    tree.put("c1", *_FILES)
    group.apply({"memory": memory})
    assert tree.read("c1/memory.swap.max") == "0"


def test_no_processes_is_a_limit(tree: Any) -> None:
    group = open_cgroup(tree.v2("pids"), "/c1")
    tree.put("c1", *_FILES)
    group.apply({"pids": {"limit": 0}})
    assert tree.read("c1/pids.max") == "0"


def test_an_update_below_the_usage_is_refused_when_asked(tree: Any) -> None:
    group = open_cgroup(tree.v2("memory"), "/c1")
    tree.put("c1", *_FILES)
    (tree.root / "c1/memory.current").write_text("8192\n", encoding="ascii")
    with pytest.raises(InvalidArgumentError, match="to 4096: it uses 8192"):
        group.apply({"memory": {"limit": 4096, "checkBeforeUpdate": True}})
    group.apply({"memory": {"limit": 8192, "checkBeforeUpdate": True}})
    assert tree.read("c1/memory.max") == "8192"


def test_a_leaf_weight_is_refused(tree: Any) -> None:
    group = open_cgroup(tree.v2("io"), "/c1")
    tree.put("c1", *_FILES)
    with pytest.raises(UnsupportedError, match="leafWeight"):
        group.apply({"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "leafWeight": 10}]}})


@pytest.mark.parametrize(
    ("resources", "controller"),
    [
        ({"memory": {"limit": 4096}}, "memory"),
        ({"cpu": {"shares": 10}}, "cpu"),
        ({"cpu": {"mems": "0"}}, "cpuset"),
        ({"pids": {"limit": 1}}, "pids"),
        ({"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}, "hugetlb"),
        ({"rdma": {"mlx5": {"hcaHandles": 1}}}, "rdma"),
        ({"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1}]}}, "io"),
    ],
)
def test_a_missing_controller_is_named(
    tree: Any, resources: dict[str, Any], controller: str
) -> None:
    group = open_cgroup(tree.v2(), "/c1")
    tree.put("c1")
    with pytest.raises(UnsupportedError, match=f"the {controller} controller is not available"):
        group.apply(resources)


@pytest.mark.parametrize(
    "resources", [{"cpu": {"realtimeRuntime": 1}}, {"network": {"classID": 1}}]
)
def test_limits_that_version_2_abolished(tree: Any, resources: dict[str, Any]) -> None:
    group = open_cgroup(tree.v2(), "/c1")
    with pytest.raises(UnsupportedError):
        group.apply(resources)


def test_unified_resources(tree: Any) -> None:
    group = open_cgroup(tree.v2("memory"), "/c1")
    tree.put("c1", "memory.high")
    (tree.root / "c1/cgroup.controllers").write_text("memory", encoding="ascii")
    group.apply({"unified": {"memory.high": "4096"}})
    assert tree.read("c1/memory.high") == "4096"
    for name in ("../memory.max", "NOT-A-KEY", "memory.", ".max"):
        with pytest.raises(InvalidArgumentError, match="has not the form CONTROLLER"):
            group.apply({"unified": {name: "1"}})
    with pytest.raises(UnsupportedError, match="controller `foo` is not available"):
        group.apply({"unified": {"foo.bar": "1"}})
    with pytest.raises(UnsupportedError, match="no such file or directory"):
        group.apply({"unified": {"memory.absent": "1"}})


def test_a_line_for_each_device(tree: Any) -> None:
    group = open_cgroup(tree.v2("io"), "/c1")
    tree.put("c1", "io.max")
    (tree.root / "c1/cgroup.controllers").write_text("io", encoding="ascii")
    group.apply({"unified": {"io.max": "8:0 rbps=1\n8:1 rbps=2"}})
    # A plain file takes both at its start.
    assert tree.read("c1/io.max") == "8:1 rbps=2"


def test_a_named_controller_is_handed_down(tree: Any) -> None:
    group = open_cgroup(tree.v2("misc"), "/c1")
    (tree.root / "cgroup.subtree_control").write_text("", encoding="ascii")
    tree.put("c1", "misc.max")
    (tree.root / "c1/cgroup.controllers").write_text("misc", encoding="ascii")
    group.apply({"unified": {"misc.max": "sev 1"}})
    assert tree.read("cgroup.subtree_control") == "+misc"


def test_device_rules_go_to_the_filter(tree: Any) -> None:
    seen: list[Any] = []
    tree.put("c1")
    group = UnifiedCgroup(tree.v2(), "/c1", lambda _descriptor, rules: seen.append(rules))
    group.apply({"devices": [{"allow": True}]})
    assert seen == [((True, "a", -1, -1, "rwm"),)]


def test_controllers_are_handed_down(tree: Any) -> None:
    hierarchies = tree.v2("pids")
    (tree.root / "cgroup.subtree_control").write_text("", encoding="ascii")
    tree.put("boxship", "cgroup.subtree_control")
    group = open_cgroup(hierarchies, "/boxship/c1")
    group.create()
    group.create()
    assert group.exists()
    assert tree.read("cgroup.subtree_control") == "+pids"
    assert tree.read("boxship/cgroup.subtree_control") == "+pids"


def test_what_is_enabled_is_left_alone(tree: Any) -> None:
    hierarchies = tree.v2("pids")
    open_cgroup(hierarchies, "/c1").create()
    assert tree.read("cgroup.subtree_control") == "pids"


def test_counters(tree: Any) -> None:
    group = open_cgroup(tree.v2("memory", "pids", "io", "cpu"), "/c1")
    tree.put("c1")
    contents = {
        "cpu.stat": "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 4\n",
        "memory.current": "4096\n",
        "memory.peak": "8192\n",
        "memory.max": "max\n",
        "memory.events": "low 0\nmax 7\noom_kill 2\n",
        "memory.stat": "anon 1\nfile 2\n",
        "pids.current": "3\n",
        "pids.max": "10\n",
        "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n",
    }
    for name, text in contents.items():
        (tree.root / "c1" / name).write_text(text, encoding="ascii")
    stats = group.stats()
    assert (stats.cpu_total, stats.cpu_user, stats.cpu_system) == (30000, 20000, 10000)
    assert (stats.memory_usage, stats.memory_max_usage, stats.memory_limit) == (4096, 8192, 0)
    assert (stats.memory_failures, stats.memory) == (7, {"anon": 1, "file": 2})
    assert (stats.pids_current, stats.pids_limit) == (3, 10)
    assert stats.io == (IoStat(8, 0, 1, 2, 3, 4),)
    assert group.oom_kills() == 2


def test_mount() -> None:
    group = open_cgroup(_hierarchies_at("/sys/fs/cgroup"), "/boxship/c1")
    (mount,) = group.mounts()
    assert (mount.type, mount.name, mount.source) == (
        "cgroup2",
        "",
        "/sys/fs/cgroup/boxship/c1",
    )


def _hierarchies_at(point: str) -> Hierarchies:
    return Hierarchies({}, point, ())
