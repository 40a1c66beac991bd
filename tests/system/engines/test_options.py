"""The options of `run` that reach the runtime, on Docker and on Podman."""

import json
from pathlib import Path

import pytest

from tests.system.engines.engines import Docker, Engine

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.slow]


def test_privileged(engine: Engine) -> None:
    script = "mount -t tmpfs none /tmp && ls /dev | wc -l; grep Seccomp: /proc/self/status"
    found = engine.box("sh", "-c", script, flags=("--privileged",)).split()
    assert int(found[0]) > 20
    assert found[-1] == "0"


def test_read_only(engine: Engine) -> None:
    script = "! touch /x 2>/dev/null && touch /dev/shm/y /t/z && echo so"
    assert engine.box("sh", "-c", script, flags=("--read-only", "--tmpfs", "/t")) == "so"


def test_namespaces_of_the_host(engine: Engine) -> None:
    links = ("/proc/self/ns/ipc", "/proc/self/ns/uts", "/proc/self/ns/pid")
    flags = ("--pid=host", "--ipc=host", "--uts=host")
    script = 'for link; do readlink "$link"; done'
    theirs = engine.box("sh", "-c", script, "sh", *links, flags=flags).split()
    ours = [str(Path(link).readlink()) for link in links]
    assert theirs == ours


def test_namespaces_of_another_container(engine: Engine) -> None:
    engine.start("one", "sleep", "1000", flags=("--ipc", "shareable"))
    flags = ("--net=container:one", "--pid=container:one", "--ipc=container:one")
    script = "for n in net pid ipc; do readlink /proc/self/ns/$n; done; cat /proc/1/comm"
    *links, name = engine.box("sh", "-c", script, flags=flags).split()
    assert name == "sleep"
    pid = engine.pid("one")
    assert links == [str(Path(f"/proc/{pid}/ns/{n}").readlink()) for n in ("net", "pid", "ipc")]


def test_volumes_and_tmpfs(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    flags = (
        *("-v", f"{tmp_path}:/bind", "-v", f"{tmp_path}:/locked:ro", "-v", "named:/data"),
        *("--tmpfs", "/t:size=1m,mode=1770,noexec"),
    )
    script = (
        "cat /bind/there; touch /bind/made /data/made; ! touch /locked/x 2>/dev/null;"
        " stat -c %a /t; grep ' /t ' /proc/mounts"
    )
    text = engine.box("sh", "-c", script, flags=flags)
    assert text.startswith("x1770")
    for option in ("noexec", "size=1024k"):
        assert option in text
    assert (tmp_path / "made").exists()
    assert engine.box("ls", "/data", flags=("-v", "named:/data")) == "made"


def test_capabilities(engine: Engine) -> None:
    flags = ("--cap-drop", "ALL", "--cap-add", "NET_ADMIN")
    found = engine.box("grep", "CapEff", "/proc/self/status", flags=flags)
    assert int(found.split()[1], 16) == 1 << 12


def test_security_options(engine: Engine, tmp_path: Path) -> None:
    seen = ("grep", "Seccomp:", "/proc/self/status")
    assert engine.box(*seen).split()[1] == "2"
    free = ("--security-opt", "seccomp=unconfined")
    assert engine.box(*seen, flags=free).split()[1] == "0"
    profile = tmp_path / "profile.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}
    document = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    profile.write_text(json.dumps(document))
    own = ("--security-opt", f"seccomp={profile}")
    script = "mkdir /x 2>&1 | grep -o 'not implemented'"
    assert engine.box("sh", "-c", script, flags=own) == "not implemented"
    flags = ("--security-opt", "no-new-privileges")
    assert engine.box("grep", "NoNewPrivs", "/proc/self/status", flags=flags).split()[1] == "1"


def test_limits(engine: Engine) -> None:
    script = "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj"
    flags = ("--ulimit", "nofile=100:200", "--oom-score-adj", "100")
    assert engine.box("sh", "-c", script, flags=flags).split() == ["100", "200", "100"]
    flags = ("--memory", "32m", "--cpus", "0.5", "--pids-limit", "20", "--cpuset-cpus", "0")
    script = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max pids/pids.max pids.max"
    script = f"({script} cpu/cpu.cfs_quota_us cpuset/cpuset.cpus cpuset.cpus) 2>/dev/null"
    found = engine.box("sh", "-c", f"{script}; true", flags=flags).split()
    assert found[:2] == [str(32 << 20), "20"]
    assert found[-1] == "0"


def test_names_groups_and_kernel_settings(engine: Engine) -> None:
    flags = (
        *("--hostname", "box", "--group-add", "7", "--add-host", "other:192.0.2.7"),
        *("--sysctl", "net.ipv4.ip_forward=1", "--shm-size", "3m"),
    )
    script = (
        "hostname; id -G; grep -c 192.0.2.7 /etc/hosts; cat /proc/sys/net/ipv4/ip_forward;"
        " df -k /dev/shm | tail -1"
    )
    name, groups, hosts, forward, size = engine.box("sh", "-c", script, flags=flags).splitlines()
    assert (name, hosts, forward) == ("box", "1", "1")
    assert "7" in groups.split()
    assert size.split()[1] == "3072"


def test_devices(engine: Engine) -> None:
    found = engine.box("ls", "-l", "/dev/full2", flags=("--device", "/dev/full:/dev/full2"))
    assert found.startswith("c")
    assert "1,   7" in found


def test_an_init(engine: Engine) -> None:
    done = engine.run(
        "run", "--rm", "--init", *engine.options(()), engine.image, "cat", "/proc/1/comm"
    )
    if "not found" in done.stderr or "catatonit" in done.stderr or "docker-init" in done.stderr:
        pytest.skip(f"no init program is installed: {done.stderr.strip()[-80:]}")
    assert done.stdout.strip() in ("docker-init", "tini", "catatonit")


def test_a_network(docker: Docker) -> None:
    """Docker makes it in a hook of the runtime's."""
    assert "inet 172." in docker.box("ip", "addr", "show", "eth0", flags=("--network", "bridge"))


def test_too_much_memory(engine: Engine) -> None:
    script = "tail /dev/zero"
    flags = ("--memory", "16m", "--memory-swap", "16m")
    engine.start("one", "sh", "-c", script, flags=flags)
    assert engine("wait", "one") == "137"
