"""How a container's processes are served: scheduling, I/O, memory nodes, processors."""

import os

import pytest

pytestmark = pytest.mark.root
# Field 41 of proc(5)'s stat is the policy, 19 the nice value; the name holds no blanks here.
SERVED = "set -- $(cat /proc/self/stat); echo ${41} ${19}"


@pytest.mark.parametrize("separate", [False, True])
def test_a_scheduling_policy(box, separate):
    if separate:
        box.user_namespace()
    # Below zero: what a user namespace's root could not do for itself.
    box.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": -6}
    result = box.shell(SERVED).run()
    assert result.out == "3 -6\n", result.err


def test_a_deadline(box):
    times = {"runtime": 1_000_000, "deadline": 20_000_000, "period": 30_000_000}
    box.process["scheduler"] = {
        "policy": "SCHED_DEADLINE",
        "flags": ["SCHED_FLAG_RESET_ON_FORK"],
        **times,
    }
    box.process["args"] = ["cat", "/proc/self/stat"]
    result = box.run()
    assert result.code == 0, result.err
    assert result.out.split()[40] == "6"


def test_an_exec_process_has_its_own(box, tmp_path):
    box.shell("sleep 100").start()
    process = tmp_path / "process.json"
    process.write_text(
        '{"cwd": "/", "args": ["cat", "/proc/self/stat"], "env": ["PATH=/bin"],'
        ' "scheduler": {"policy": "SCHED_IDLE"}}'
    )
    result = box.command("exec", "--process", str(process), box.id)
    assert result.out.split()[40] == "5", result.err


@pytest.mark.parametrize(
    ("scheduler", "words"),
    [
        ({"policy": "SCHED_ISO"}, "process.scheduler.policy SCHED_ISO: Linux does not have it"),
        ({"policy": "SCHED_FAIR"}, "unknown process.scheduler.policy 'SCHED_FAIR'"),
        ({"policy": "SCHED_OTHER", "nice": 20}, "nice 20 is not between"),
        ({"policy": "SCHED_OTHER", "priority": 1}, "priority is for SCHED_FIFO and SCHED_RR"),
        ({"policy": "SCHED_RR", "period": 1}, "period is for SCHED_DEADLINE"),
        ({"policy": "SCHED_OTHER", "flags": ["X"]}, "unknown process.scheduler.flags 'X'"),
        ({"policy": "SCHED_FIFO", "priority": 100}, "cannot honour process.scheduler: sched_set"),
    ],
)
def test_schedules_that_cannot_be(box, scheduler, words):
    box.process["scheduler"] = scheduler
    result = box.run()
    assert result.code == 1
    assert words in result.err


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ({"deadline": 20_000}, "requires `runtime`"),
        ({"runtime": 10_000}, "requires `deadline`"),
        ({"runtime": 0, "deadline": 20_000}, "runtime must be greater than 0"),
        ({"runtime": 1_000, "deadline": 20_000}, "runtime 1000 must be between 1024 and"),
        ({"runtime": 30_000, "deadline": 20_000}, "runtime 30000 must be <= deadline 20000"),
        (
            {"runtime": 10_000, "deadline": 20_000, "period": 15_000},
            "deadline 20000 must be <= period 15000",
        ),
    ],
)
def test_deadlines_that_cannot_be(box, times, words):
    box.process["scheduler"] = {"policy": "SCHED_DEADLINE", **times}
    result = box.run()
    assert result.code == 1
    assert words in result.err


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ({"class": "IOPRIO_CLASS_RT", "priority": 3}, "realtime: prio 3"),
        ({"class": "IOPRIO_CLASS_BE", "priority": 7}, "best-effort: prio 7"),
        ({"class": "IOPRIO_CLASS_IDLE"}, "idle"),
    ],
)
def test_an_io_priority(box, wanted, shown):
    box.process["ioPriority"] = wanted
    result = box.shell("ionice -p $$").run()
    assert result.out.strip() == shown, result.err


def test_an_io_priority_that_cannot_be(box):
    box.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 8}
    assert "process.ioPriority.priority 8 is not between 0 and 7" in box.run().err
    box.process["ioPriority"] = {"class": "IOPRIO_CLASS_NONE"}
    assert "unknown process.ioPriority.class 'IOPRIO_CLASS_NONE'" in box.run().err


def test_a_personality(box):
    box.spec["linux"]["personality"] = {"domain": "LINUX32"}
    result = box.shell("uname -m").run()
    assert result.out.strip() == ("i686" if os.uname().machine == "x86_64" else "armv8l"), (
        result.err
    )
    box.shell("sleep 100").start()
    assert box.command("exec", box.id, "uname", "-m").out == result.out


def test_a_personality_with_flags(box):
    box.spec["linux"]["personality"] = {"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}
    assert "unknown linux.personality.flags 'ADDR_NO_RANDOMIZE'" in box.run().err


def test_a_memory_policy(box):
    box.spec["linux"]["memoryPolicy"] = {
        "mode": "MPOL_BIND",
        "nodes": "0",
        "flags": ["MPOL_F_STATIC_NODES"],
    }
    result = box.shell("grep -m1 stack /proc/self/numa_maps").run()
    assert "bind=static:0" in result.out, result.err
    box.shell("sleep 100").start()
    assert "bind=static:0" in box.command("exec", box.id, "cat", "/proc/self/numa_maps").out


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"mode": "MPOL_NEAR"}, "unknown linux.memoryPolicy.mode 'MPOL_NEAR'"),
        ({"nodes": "0"}, "linux.memoryPolicy.mode is missing"),
        ({}, "linux.memoryPolicy.mode is missing"),
        ({"mode": "MPOL_BIND"}, "cannot honour linux.memoryPolicy: set_mempolicy"),
        ({"mode": "MPOL_BIND", "nodes": "3-1"}, "nodes '3-1' is not a list like 0-3,7"),
        ({"mode": "MPOL_BIND", "nodes": "999"}, "cannot honour linux.memoryPolicy: set_mempolicy"),
    ],
)
def test_memory_policies_that_cannot_be(box, policy, words):
    box.spec["linux"]["memoryPolicy"] = policy
    result = box.run()
    assert result.code == 1
    assert words in result.err


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_the_processors_of_exec(box):
    cpus = sorted(os.sched_getaffinity(0))
    box.process["execCPUAffinity"] = {"initial": str(cpus[0]), "final": str(cpus[-1])}
    box.shell("grep Cpus_allowed_list /proc/self/status; sleep 100")
    box.start()
    allowed = box.command("exec", box.id, "grep", "Cpus_allowed_list", "/proc/self/status")
    assert allowed.out.split()[1] == str(cpus[-1]), allowed.err
