"""Control groups of a container, by command line: what it gets, and what happens to it there."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from boxship.runtime.cgroups import Hierarchies, detect, open_cgroup
from boxship.runtime.cgroups.api import Cgroup
from tests.system.runtime.conftest import PROGRAM
from tests.system.runtime.test_lifecycle import wait_until_gone

pytestmark = pytest.mark.root
_MIB = 1 << 20
_SLEEP = "exec sleep 100"


def _of(pid: int) -> dict[str, str]:
    """Controllers of a process and the paths of its groups; version 2's under ``."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return {names: path for _, names, path in (line.split(":", 2) for line in lines)}


def _read(box, version1: str, version2: str) -> str:
    """A control file of a container's group, in the words of either version."""
    hierarchies = detect()
    path = box.spec["linux"]["cgroupsPath"]
    if hierarchies.version == 2:
        return Path(f"{hierarchies.unified}{path}/{version2}").read_text().strip()
    controller = version1.partition(".")[0]
    return Path(f"{hierarchies.v1[controller]}{path}/{version1}").read_text().strip()


def _is_still(group: Cgroup) -> bool:
    """Whether the processes of a group are stopped, by its own state or by one above it."""
    if group.version == 2:
        return "frozen 1" in Path(f"{detect().unified}{group.path}/cgroup.events").read_text()
    return group.frozen()


def test_no_processes_is_a_limit_that_holds(box):
    box.spec["linux"]["resources"]["pids"] = {"limit": 0}
    result = box.shell("echo alone; true | true").run()
    assert "alone" in result.out
    assert "can't fork" in result.err


def test_unlimited_processes(box):
    box.spec["linux"]["resources"]["pids"] = {"limit": -1}
    box.shell(_SLEEP).start()
    assert _read(box, "pids.max", "pids.max") == "max"


def test_a_limit_that_cannot_be_had_leaves_nothing(box):
    box.spec["linux"]["resources"]["rdma"] = {"boxship0": {"hcaHandles": 1}}
    result = box.run()
    assert (result.code, "rdma.max" in result.err) == (1, True), result.err
    assert not open_cgroup(detect(), box.spec["linux"]["cgroupsPath"]).exists()


def test_every_option_of_update(box):
    box.shell(_SLEEP).start()
    options = {
        "--memory": "64m",
        "--memory-reservation": "32M",
        "--memory-swap": str(128 * _MIB),
        "--cpu-period": "50000",
        "--cpu-quota": "25000",
        "--cpu-burst": "5000",
        "--cpu-share": "512",
        "--cpuset-cpus": "0",
        "--cpuset-mems": "0",
        "--pids-limit": "77",
        "--kernel-memory": "0",
        "--kernel-memory-tcp": "0",
    }
    words = [word for pair in options.items() for word in pair]
    done = box.command("update", *words, box.id)
    assert done.code == 0, done.err
    assert _read(box, "memory.limit_in_bytes", "memory.max") == str(64 * _MIB)
    assert _read(box, "memory.soft_limit_in_bytes", "memory.low") == str(32 * _MIB)
    assert _read(box, "cpu.cfs_quota_us", "cpu.max").split()[0] == "25000"
    assert _read(box, "cpuset.cpus", "cpuset.cpus") == "0"
    assert _read(box, "pids.max", "pids.max") == "77"
    assert box.command("update", "--cpu-idle", "1", box.id).code == 0
    assert _read(box, "cpu.idle", "cpu.idle") == "1"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--memory", "much"), "--memory needs a number of bytes"),
        (("--cpu-quota", "fast"), "--cpu-quota needs a number"),
        (("--l3-cache-schema", "L3:0=f"), "--l3-cache-schema"),
        (("--mem-bw-schema", "MB:0=20"), "--mem-bw-schema"),
        (("--cpu-quota", "1"), "cannot set"),
        ((), "nothing to update"),
    ],
)
def test_an_update_that_fails_says_why(box, words, text):
    box.shell(_SLEEP).start()
    result = box.command("update", *words, box.id)
    assert (result.code, text in result.err) == (1, True), result.err


def test_a_file_with_zeros_changes_what_it_names_only(box):
    box.spec["linux"]["resources"]["memory"] = {"limit": 64 * _MIB}
    box.shell(_SLEEP).start()
    template = {
        "memory": {"limit": 0, "reservation": 0, "swap": 0},
        "cpu": {"shares": 0, "quota": 0, "period": 0, "cpus": "", "mems": ""},
        "blockIO": {"weight": 0},
        "pids": {"limit": 33},
    }
    done = box.command("update", "-r", "-", box.id, input=json.dumps(template))
    assert done.code == 0, done.err
    assert _read(box, "memory.limit_in_bytes", "memory.max") == str(64 * _MIB)
    assert _read(box, "pids.max", "pids.max") == "33"


def test_an_update_that_fails_half_way_is_taken_back(box):
    box.spec["linux"]["resources"]["memory"] = {"limit": 64 * _MIB}
    box.shell(_SLEEP).start()
    wrong = {"memory": {"limit": 32 * _MIB}, "cpu": {"cpus": "999"}}
    done = box.command("update", "--resources", "-", box.id, input=json.dumps(wrong))
    assert (done.code, "cpuset.cpus" in done.err) == (1, True)
    assert _read(box, "memory.limit_in_bytes", "memory.max") == str(64 * _MIB)


def test_swap_follows_the_limit_that_is_in_force(box):
    box.spec["linux"]["resources"]["memory"] = {"limit": 64 * _MIB}
    box.shell(_SLEEP).start()
    done = box.command("update", "--memory-swap", str(96 * _MIB), box.id)
    assert done.code == 0, done.err
    both = _read(box, "memory.memsw.limit_in_bytes", "memory.swap.max")
    assert both == str((32 if detect().version == 2 else 96) * _MIB)


def test_pausing_stops_groups_below_too(box):
    box.shell("sleep 100 & sleep 100 & wait").start()
    below = open_cgroup(detect(), f"{box.spec['linux']['cgroupsPath']}/below")
    below.create()
    pids = json.loads(box.command("ps", "--format", "json", box.id).out)
    below.add(pids[-1])
    assert box.command("pause", box.id).code == 0
    assert (box.status(), _is_still(below)) == ("paused", True)
    assert sorted(json.loads(box.command("ps", "-f", "json", box.id).out)) == sorted(pids)
    assert box.command("resume", box.id).code == 0
    assert (box.status(), _is_still(below)) == ("running", False)


@pytest.mark.parametrize(
    "words", [("delete", "--force"), ("kill", "--all"), ("kill",)], ids=" ".join
)
def test_a_paused_container_can_be_killed(box, words):
    box.shell(_SLEEP).start()
    pid = box.pid()
    assert box.command("pause", box.id).code == 0
    done = box.command(*words, box.id, *(() if words[0] == "delete" else ("KILL",)))
    assert done.code == 0, done.err
    wait_until_gone(pid)


@pytest.fixture
def freezer(box):
    """A frozen group of somebody else's, on the version 1 freezer hierarchy."""
    if "freezer" not in detect().v1:
        pytest.skip("needs the freezer v1 hierarchy: on version 2 a frozen process can be killed")
    group = Path(detect().v1["freezer"]) / f"boxship-ice-{os.getpid()}"
    group.mkdir()
    yield group
    (group / "freezer.state").write_text("THAWED")
    for pid in (group / "cgroup.procs").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
        wait_until_gone(int(pid))
    open_cgroup(Hierarchies({"freezer": detect().v1["freezer"]}, "", ()), group.name).remove()


@pytest.mark.cgroup1
@pytest.mark.parametrize(
    "words", [("delete", "--force"), ("kill", "--all")], ids=lambda words: words[0]
)
@pytest.mark.parametrize("who", ["first", "other"])
def test_a_process_in_somebody_elses_ice_is_killed(box, freezer, words, who):
    box.namespace("pid", "-")
    box.shell("sleep 100 & wait").start()
    pids = json.loads(box.command("ps", "--format", "json", box.id).out)
    chosen = box.pid() if who == "first" else next(pid for pid in pids if pid != box.pid())
    (freezer / "cgroup.procs").write_text(str(chosen))
    (freezer / "freezer.state").write_text("FROZEN")
    done = box.command(*words, box.id, *(() if words[0] == "delete" else ("9",)))
    assert done.code == 0, done.err
    for pid in pids:
        wait_until_gone(pid)
    if words[0] == "delete":
        assert not open_cgroup(detect(), box.spec["linux"]["cgroupsPath"]).exists()


@pytest.mark.cgroup1
def test_a_container_below_a_frozen_group_is_deleted(box, freezer):
    box.spec["linux"]["cgroupsPath"] = f"/{freezer.name}/{box.id}"
    box.shell(_SLEEP).start()
    (freezer / "freezer.state").write_text("FROZEN")
    done = box.command("delete", "--force", box.id)
    assert done.code == 0, done.err
    (freezer / "freezer.state").write_text("THAWED")
    open_cgroup(detect(), freezer.name).remove()
    freezer.mkdir()


@pytest.mark.cgroup1
def test_nothing_is_made_below_a_frozen_group(box, freezer):
    (freezer / "freezer.state").write_text("FROZEN")
    box.spec["linux"]["cgroupsPath"] = f"/{freezer.name}/{box.id}"
    result = box.run()
    assert (result.code, "it is frozen" in result.err) == (1, True), result.err
    assert not (freezer / box.id).exists()
    open_cgroup(detect(), freezer.name).remove()
    freezer.mkdir()


@pytest.mark.cgroup1
def test_exec_enters_the_group_on_the_hierarchies_where_it_is(box):
    if "memory" not in detect().v1:
        pytest.skip("needs the memory v1 hierarchy")
    box.shell(_SLEEP).start()
    path = box.spec["linux"]["cgroupsPath"]
    below = Path(f"{detect().v1['memory']}{path}/below")
    below.mkdir()
    box.namespace("cgroup", "-")
    out = box.command("exec", "--cgroup", "below", box.id, "cat", "/proc/self/cgroup").out
    paths = dict(line.split(":", 2)[1:] for line in out.splitlines())
    assert paths["memory"].endswith("/below")
    assert not paths["pids"].endswith("/below")


@pytest.mark.parametrize("detach", [False, True])
def test_a_container_without_a_control_group(box, detach):
    mine = _of(os.getpid())
    del box.spec["linux"]["cgroupsPath"]
    box.spec["linux"]["resources"] = {}
    box.namespace("cgroup", "-").save()
    words = ("run", "--bundle", str(box.bundle), *(("--detach",) if detach else ()), box.id)
    box.shell(_SLEEP if detach else "cat /proc/self/cgroup").save()
    result = box.command("--cgroup-manager", "disabled", *words)
    assert result.code == 0, result.err
    if not detach:
        assert {line.split(":", 2)[2] for line in result.out.splitlines()} == set(mine.values())
        return
    assert _of(box.pid()) == mine
    assert "no control group" in box.command("pause", box.id).err
    assert "no control group" in box.command("update", "--pids-limit", "1", box.id).err
    assert box.command("exec", box.id, "true").code == 0
    assert box.command("delete", "--force", box.id).code == 0


def test_limits_without_a_control_group_are_refused(box):
    box.save()
    words = ("--cgroup-manager", "disabled", "run", "--bundle", str(box.bundle), box.id)
    assert "set linux.resources.devices: this container has no" in box.command(*words).err


def test_events_end_with_the_container(box):
    box.shell(_SLEEP).start()
    words = (*PROGRAM, "--root", str(box.state), "events", "--interval", "1000h", box.id)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as told:
        assert told.stdout is not None
        assert json.loads(told.stdout.readline())["type"] == "stats"
        assert box.command("kill", box.id, "KILL").code == 0
        assert told.wait(30) == 0


@pytest.mark.parametrize("word", ["0", "-1s", "soon", "1d"])
def test_an_interval_that_is_none(box, word):
    box.shell(_SLEEP).start()
    assert f"invalid interval '{word}'" in box.command("events", "--interval", word, box.id).err


def test_counters_in_runcs_shape(box):
    box.shell(_SLEEP).start()
    data = json.loads(box.command("events", "--stats", box.id).out)["data"]
    assert set(data) >= {"cpu", "memory", "pids", "blkio", "hugetlb"}
    assert set(data["memory"]) >= {"usage", "swap", "kernel", "kernelTCP", "cache", "raw"}
    assert data["memory"]["usage"]["usage"] > 0
    assert data["cpu"]["usage"]["total"] > 0
