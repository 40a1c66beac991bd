import json
import os
from pathlib import Path
from typing import Any

import pytest

from boxship.errors import InvalidArgumentError, NotFoundError
from boxship.model.container import DeviceRequest, Ulimit
from boxship.model.mount import Mount
from boxship.runtime.spec.generate import (
    DEFAULT_CAPABILITIES,
    SpecOptions,
    generate_spec,
    granted_capabilities,
    parse_device_rule,
)

_SHM = "/dev/shm"  # noqa: S108 - a mount point


def _spec(**options: Any) -> dict[str, Any]:
    return generate_spec(SpecOptions(argv=("true",), **options))


def _mounts(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {mount["destination"]: mount for mount in spec["mounts"]}


def test_the_default_is_json_and_dockers() -> None:
    spec = _spec()
    assert json.loads(json.dumps(spec)) == spec
    assert spec["process"]["capabilities"]["bounding"] == sorted(
        DEFAULT_CAPABILITIES, key=list(granted_capabilities(("ALL",), ())).index
    )
    assert "inheritable" not in spec["process"]["capabilities"]
    assert [entry["type"] for entry in spec["linux"]["namespaces"]] == [
        "mount",
        "uts",
        "ipc",
        "pid",
        "network",
        "cgroup",
    ]
    assert "/proc/kcore" in spec["linux"]["maskedPaths"]
    assert "/proc/sys" in spec["linux"]["readonlyPaths"]
    assert spec["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert spec["linux"]["resources"]["devices"][0] == {"allow": False, "access": "rwm"}
    assert list(_mounts(spec)) == [
        "/proc",
        "/dev",
        "/dev/pts",
        "/sys",
        "/sys/fs/cgroup",
        "/dev/mqueue",
        _SHM,
    ]
    assert "size=67108864" in _mounts(spec)[_SHM]["options"]
    assert "uidMappings" not in spec["linux"]


def test_user_namespace() -> None:
    linux = _spec(user_base=200000)["linux"]
    assert linux["uidMappings"] == [{"containerID": 0, "hostID": 200000, "size": 65536}]
    assert linux["gidMappings"] == linux["uidMappings"]
    assert {"type": "user"} in linux["namespaces"]
    assert linux["sysctl"]["net.ipv4.ping_group_range"] == "0 65535"


def test_privileged() -> None:
    spec = _spec(privileged=True)
    linux = spec["linux"]
    assert "CAP_SYS_ADMIN" in spec["process"]["capabilities"]["effective"]
    assert linux["maskedPaths"] == linux["readonlyPaths"] == []
    assert "seccomp" not in linux
    assert linux["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert "/dev/null" in [device["path"] for device in linux["devices"]]
    assert "ro" not in _mounts(spec)["/sys"]["options"]
    assert "ro" not in _mounts(spec)["/sys/fs/cgroup"]["options"]


def test_shared_namespaces() -> None:
    spec = _spec(
        namespaces={"network": "host", "pid": "/proc/7/ns/pid", "uts": "host"}, hostname="h"
    )
    namespaces = {entry["type"]: entry.get("path") for entry in spec["linux"]["namespaces"]}
    assert namespaces == {"mount": None, "ipc": None, "pid": "/proc/7/ns/pid", "cgroup": None}
    assert "hostname" not in spec
    assert "sysctl" not in spec["linux"]


def test_the_hosts_ipc_brings_its_shared_memory() -> None:
    mounts = _mounts(_spec(namespaces={"ipc": "host"}))
    assert mounts[_SHM]["source"] == _SHM
    # A new one in the host's namespace, which need not have any mounted.
    assert mounts["/dev/mqueue"]["type"] == "mqueue"


def test_another_ipc_namespace_brings_its_shared_memory() -> None:
    mounts = _mounts(_spec(namespaces={"ipc": "/proc/7/ns/ipc"}))
    assert mounts[_SHM]["source"] == f"/proc/7/root{_SHM}"
    assert mounts["/dev/mqueue"]["type"] == "mqueue"


def test_mounts_replace_defaults_and_outer_ones_come_first() -> None:
    spec = _spec(
        mounts=(
            Mount("bind", "/a", "/data/deep", ("rbind",)),
            Mount("bind", "/b", "/data/", ("rbind",)),
            Mount("tmpfs", "tmpfs", _SHM, ("size=1m",)),
        )
    )
    targets = [mount["destination"] for mount in spec["mounts"]]
    assert targets.count(_SHM) == 1
    assert targets.index("/data/") < targets.index("/data/deep")
    assert _mounts(spec)[_SHM]["options"] == ["size=1m"]


def test_a_mount_at_dev_takes_all_of_it() -> None:
    mounts = _mounts(_spec(mounts=(Mount("bind", "/dev", "/dev", ("rbind",)),)))
    assert [target for target in mounts if target.startswith("/dev")] == ["/dev"]


def test_read_only_root_keeps_what_programs_need() -> None:
    spec = _spec(read_only=True)
    assert spec["root"]["readonly"]
    mounts = _mounts(spec)
    assert "ro" not in mounts[_SHM]["options"]
    assert "ro" in mounts["/sys/fs/cgroup"]["options"]


def test_process() -> None:
    process = _spec(
        user="web:data",
        groups=("video", "44"),
        env=("A=b",),
        cwd="/srv",
        tty=True,
        console_size=(24, 80),
        init=True,
        no_new_privileges=True,
        oom_score_adj=100,
        rlimits=(Ulimit("nofile", 1024, 2048), Ulimit("core", -1, -1)),
    )["process"]
    assert process["user"]["username"] == "web:data"
    assert process["user"]["additionalGroupNames"] == ["video", "44"]
    assert process["consoleSize"] == {"height": 24, "width": 80}
    assert process["init"]
    assert process["noNewPrivileges"]
    assert process["oomScoreAdj"] == 100
    assert process["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 2048},
        {"type": "RLIMIT_CORE", "soft": 2**64 - 1, "hard": 2**64 - 1},
    ]
    assert (process["env"], process["cwd"]) == (["A=b"], "/srv")


def test_a_soft_limit_above_the_hard_one() -> None:
    with pytest.raises(InvalidArgumentError, match="above the hard limit"):
        _spec(rlimits=(Ulimit("nofile", 2, 1),))


@pytest.mark.parametrize(
    ("add", "drop", "has", "lacks"),
    [
        ((), ("NET_RAW",), "CAP_CHOWN", "CAP_NET_RAW"),
        (("cap_sys_admin",), (), "CAP_SYS_ADMIN", "CAP_SYS_TIME"),
        (("ALL",), ("mknod",), "CAP_SYS_ADMIN", "CAP_MKNOD"),
        (("CHOWN",), ("all",), "CAP_CHOWN", "CAP_KILL"),
        (("NET_RAW",), ("NET_RAW",), "CAP_NET_RAW", "CAP_SYS_ADMIN"),
    ],
)
def test_capabilities(add: tuple[str, ...], drop: tuple[str, ...], has: str, lacks: str) -> None:
    granted = granted_capabilities(add, drop)
    assert has in granted
    assert lacks not in granted


def test_an_unknown_capability_in_dockers_words() -> None:
    with pytest.raises(InvalidArgumentError, match='invalid CapAdd: unknown capability: "CAP_FLY"'):
        granted_capabilities(("fly",), ())


def test_a_device() -> None:
    spec = _spec(devices=(DeviceRequest("/dev/null", "/dev/nothing", "rw"),))
    (node,) = spec["linux"]["devices"]
    assert (node["path"], node["type"], node["major"], node["minor"]) == ("/dev/nothing", "c", 1, 3)
    assert spec["linux"]["resources"]["devices"][-1] == {
        "allow": True,
        "type": "c",
        "major": 1,
        "minor": 3,
        "access": "rw",
    }


def test_a_directory_of_devices_leaves_the_rest_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/dev/null")
    spec = _spec(devices=(DeviceRequest(str(tmp_path), "/dev/many"),))
    assert "devices" not in spec["linux"]


@pytest.mark.parametrize("path", ["/dev/none-such", "/etc/passwd"])
def test_what_is_no_device(path: str) -> None:
    with pytest.raises(NotFoundError, match="error gathering device information"):
        _spec(devices=(DeviceRequest(path, path),))


@pytest.mark.parametrize("rule", ["c 42:* rwm", "a *:* r", "b 8:0 m"])
def test_device_rules(rule: str) -> None:
    kind, numbers, access = rule.split()
    parsed = parse_device_rule(rule)
    assert (parsed["type"], parsed["access"]) == (kind, access)
    assert parsed["major"] == (-1 if numbers[0] == "*" else int(numbers.split(":")[0]))


@pytest.mark.parametrize("rule", ["", "c 42 rwm", "x 1:1 r", "c 1:1 rx", "c a:1 r", "c 1:1:1 r"])
def test_device_rules_that_mean_nothing(rule: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid device cgroup rule"):
        parse_device_rule(rule)


def test_resources_are_kept_beside_the_device_rules() -> None:
    resources = {"memory": {"limit": 4096}, "pids": {"limit": 7}}
    spec = _spec(resources=resources, cgroup="/boxship/c1", device_rules=("c 42:* rwm",))
    linux = spec["linux"]
    assert linux["cgroupsPath"] == "/boxship/c1"
    assert linux["resources"]["memory"] == {"limit": 4096}
    assert linux["resources"]["devices"][-1]["major"] == 42
    assert "devices" not in resources


def test_seccomp_choices() -> None:
    assert "seccomp" not in _spec(seccomp="unconfined")["linux"]
    text = '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}'
    assert _spec(seccomp=text)["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ALLOW"
    assert _spec(seccomp=text, privileged=True)["linux"]["seccomp"]["syscalls"] == []
    with pytest.raises(InvalidArgumentError, match="decoding seccomp profile failed"):
        _spec(seccomp="{")


def test_paths_can_be_replaced() -> None:
    linux = _spec(masked_paths=(), readonly_paths=("/proc/x",))["linux"]
    assert linux["maskedPaths"] == []
    assert linux["readonlyPaths"] == ["/proc/x"]


@pytest.mark.parametrize(
    ("words", "propagation"),
    [(("rbind", "rshared"), "shared"), (("rbind", "rslave"), "slave"), (("rbind",), None)],
)
def test_root_propagation(words: tuple[str, ...], propagation: str | None) -> None:
    linux = _spec(mounts=(Mount("bind", "/a", "/b", words),))["linux"]
    assert linux.get("rootfsPropagation") == propagation


def test_sysctls_of_the_caller_win() -> None:
    sysctls = _spec(sysctls={"net.ipv4.ip_unprivileged_port_start": "1024"})["linux"]["sysctl"]
    assert sysctls["net.ipv4.ip_unprivileged_port_start"] == "1024"


def test_every_device_is_a_device() -> None:
    for node in _spec(privileged=True)["linux"]["devices"]:
        assert Path(node["path"]).stat().st_rdev == os.makedev(node["major"], node["minor"])
