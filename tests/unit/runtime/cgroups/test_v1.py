from typing import Any

import pytest

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.runtime.cgroups import Hierarchies, open_cgroup


def test_limits_reach_their_files(tree: Any) -> None:
    group = open_cgroup(tree.v1(), "/boxship/c1")
    tree.put("memory/boxship/c1", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    tree.put("cpu/boxship/c1", "cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us")
    tree.put("pids/boxship/c1", "pids.max")
    tree.put("blkio/boxship/c1", "blkio.throttle.read_bps_device")
    warnings = group.apply(
        {
            "memory": {"limit": 4096, "swap": 8192},
            "cpu": {"shares": 512, "quota": 50000, "period": 100000},
            "pids": {"limit": 10},
            "blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1024}]},
        }
    )
    assert warnings == ()
    assert tree.read("memory/boxship/c1/memory.limit_in_bytes") == "4096"
    assert tree.read("memory/boxship/c1/memory.memsw.limit_in_bytes") == "8192"
    assert tree.read("cpu/boxship/c1/cpu.shares") == "512"
    assert tree.read("cpu/boxship/c1/cpu.cfs_quota_us") == "50000"
    assert tree.read("cpu/boxship/c1/cpu.cfs_period_us") == "100000"
    assert tree.read("pids/boxship/c1/pids.max") == "10"
    assert tree.read("blkio/boxship/c1/blkio.throttle.read_bps_device") == "8:0 1024"


def test_no_pids_limit_is_max(tree: Any) -> None:
    group = open_cgroup(tree.v1(), "/c1")
    tree.put("pids/c1", "pids.max")
    group.apply({"pids": {"limit": -1}})
    assert tree.read("pids/c1/pids.max") == "max"


def test_no_processes_is_a_limit(tree: Any) -> None:
    group = open_cgroup(tree.v1(), "/c1")
    tree.put("pids/c1", "pids.max")
    group.apply({"pids": {"limit": 0}})
    assert tree.read("pids/c1/pids.max") == "0"


def test_unlimited_memory_has_unlimited_swap(tree: Any) -> None:
    group = open_cgroup(tree.v1(), "/c1")
    tree.put("memory/c1", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    group.apply({"memory": {"limit": -1}})
    assert tree.read("memory/c1/memory.memsw.limit_in_bytes") == "-1"


def test_leaf_weights_and_reservations(tree: Any) -> None:
    hierarchies = tree.v1()
    hierarchies.v1["hugetlb"] = str(tree.root / "hugetlb")
    group = open_cgroup(hierarchies, "/c1")
    tree.put("blkio/c1", "blkio.leaf_weight", "blkio.leaf_weight_device")
    tree.put("hugetlb/c1", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.rsvd.limit_in_bytes")
    group.apply(
        {
            "blockIO": {
                "leafWeight": 20,
                "weightDevice": [{"major": 8, "minor": 0, "leafWeight": 30}],
            },
            "hugepageLimits": [{"pageSize": "2MB", "limit": 4096}],
        }
    )
    assert tree.read("blkio/c1/blkio.leaf_weight") == "20"
    assert tree.read("blkio/c1/blkio.leaf_weight_device") == "8:0 30"
    assert tree.read("hugetlb/c1/hugetlb.2MB.limit_in_bytes") == "4096"
    assert tree.read("hugetlb/c1/hugetlb.2MB.rsvd.limit_in_bytes") == "4096"


def test_network_and_rdma(tree: Any) -> None:
    hierarchies = tree.v1()
    for name in ("net_cls", "net_prio", "rdma"):
        hierarchies.v1[name] = str(tree.root / name)
    group = open_cgroup(hierarchies, "/c1")
    tree.put("net_cls/c1", "net_cls.classid")
    tree.put("net_prio/c1", "net_prio.ifpriomap")
    tree.put("rdma/c1", "rdma.max")
    priorities = [{"name": "lo", "priority": 5}]
    group.apply({"network": {"classID": 1048577, "priorities": priorities}})
    group.apply({"rdma": {"mlx5_1": {"hcaHandles": 3}}})
    assert tree.read("net_cls/c1/net_cls.classid") == "1048577"
    assert tree.read("net_prio/c1/net_prio.ifpriomap") == "lo 5"
    assert tree.read("rdma/c1/rdma.max") == "mlx5_1 hca_handle=3"
    with pytest.raises(InvalidArgumentError, match="needs hcaHandles or hcaObjects"):
        group.apply({"rdma": {"mlx5_1": {}}})


def test_device_rules_are_written_in_order(tree: Any) -> None:
    group = open_cgroup(tree.v1(), "/c1")
    tree.put("devices/c1", "devices.allow", "devices.deny")
    group.apply({"devices": [{"allow": False}, {"allow": True, "type": "b", "major": 8}]})
    assert tree.read("devices/c1/devices.deny") == "a"
    assert tree.read("devices/c1/devices.allow").startswith("b 8:* rwmc *:* m")


def test_swap_without_accounting_warns(tree: Any) -> None:
    group = open_cgroup(tree.v1(), "/c1")
    tree.put("memory/c1", "memory.limit_in_bytes")
    (warning,) = group.apply({"memory": {"limit": 4096, "swap": 8192}})
    assert "limited without swap" in warning


def test_weight_without_scheduler_warns(tree: Any) -> None:
    group = open_cgroup(tree.v1(), "/c1")
    tree.put("blkio/c1")
    (warning,) = group.apply({"blockIO": {"weight": 500}})
    assert "knows blkio.weight" in warning


@pytest.mark.parametrize(
    ("resources", "controller"),
    [
        ({"memory": {"limit": 4096}}, "memory"),
        ({"memory": {"swap": 4096}}, "memory"),
        ({"cpu": {"shares": 2}}, "cpu"),
        ({"cpu": {"period": 1000}}, "cpu"),
        ({"cpu": {"cpus": "0"}}, "cpuset"),
        ({"pids": {"limit": 1}}, "pids"),
        ({"devices": [{"allow": False}]}, "devices"),
        ({"blockIO": {"weight": 10}}, "blkio"),
        ({"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}, "hugetlb"),
        ({"network": {"classID": 1}}, "net_cls"),
        ({"rdma": {"mlx5": {"hcaHandles": 1}}}, "rdma"),
    ],
)
def test_a_missing_controller_is_named(resources: dict[str, Any], controller: str) -> None:
    group = open_cgroup(Hierarchies({}, "", ()), "/boxship/c1")
    with pytest.raises(UnsupportedError, match=f"the {controller} controller is not available"):
        group.apply(resources)


def test_unified_resources_are_for_version_2(tree: Any) -> None:
    group = open_cgroup(tree.v1(), "/c1")
    with pytest.raises(UnsupportedError, match="runs cgroup version 1"):
        group.apply({"unified": {"memory.high": "4096"}})


def test_mounts_show_each_hierarchy_once() -> None:
    point = "/sys/fs/cgroup/cpu,cpuacct"
    hierarchies = Hierarchies(
        {"cpu": point, "cpuacct": point, "name=systemd": "/s/systemd"}, "", ()
    )
    mounts = open_cgroup(hierarchies, "/boxship/c1").mounts()
    assert [(mount.name, mount.data, mount.links) for mount in mounts] == [
        ("cpu,cpuacct", "cpu,cpuacct", ("cpu", "cpuacct")),
        ("systemd", "name=systemd", ()),
    ]
    assert mounts[0].source == "/sys/fs/cgroup/cpu,cpuacct/boxship/c1"


def test_cpuset_is_inherited_through_new_parents(tree: Any) -> None:
    hierarchies = tree.v1()
    tree.put("cpuset/a", "cpuset.cpus", "cpuset.mems")
    tree.put("cpuset/a/b", "cpuset.cpus", "cpuset.mems")
    for name, value in (("cpuset.cpus", "0-1"), ("cpuset.mems", "0")):
        (tree.root / "cpuset" / name).write_text(value, encoding="ascii")
    open_cgroup(hierarchies, "/a/b").create()
    for path in ("a", "a/b"):
        assert tree.read(f"cpuset/{path}/cpuset.cpus") == "0-1"
        assert tree.read(f"cpuset/{path}/cpuset.mems") == "0"
