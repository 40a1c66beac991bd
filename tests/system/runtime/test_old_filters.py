"""Seccomp profiles older than the system calls that the runtime itself makes."""

import pytest

from boxship.runtime.spec.seccomp_profile import default_profile

pytestmark = pytest.mark.root
# Linux 4.4 had none of these, and profiles of its time forbid them.
LATER = frozenset(
    ("clone3", "close_range", "execveat", "faccessat2", "openat2", "pidfd_open", "statx",
     "pidfd_send_signal")
)  # fmt: skip


@pytest.fixture
def old(box):
    """A box that may do what was there before."""
    rules = default_profile(frozenset())["syscalls"]
    known = {name for rule in rules if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    box.spec["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{"names": sorted(known - LATER), "action": "SCMP_ACT_ALLOW"}],
    }
    return box


@pytest.mark.parametrize("user", [False, True], ids=["host user", "own user"])
@pytest.mark.parametrize("privileges", [False, True])
@pytest.mark.parametrize("init", [False, True])
def test_a_container(old, user, privileges, init):
    if user:
        old.user_namespace()
    old.process.update(noNewPrivileges=privileges, init=init, args=["ls", "/proc/self/fd"])
    result = old.run()
    assert (result.out.split(), result.err) == (["0", "1", "2", "3"], "")


@pytest.mark.parametrize("privileges", [False, True])
def test_an_exec(old, privileges):
    old.process.update(noNewPrivileges=privileges)
    old.shell("exec sleep 1000").start()
    result = old.command("exec", old.id, "ls", "/proc/self/fd")
    assert (result.out.split(), result.err) == (["0", "1", "2", "3"], "")


def test_a_program_that_is_none(old):
    old.process.update(args=["/etc/passwd"])
    assert "permission denied" in old.run().err


def test_calls_that_kill(old):
    old.spec["linux"]["seccomp"]["defaultAction"] = "SCMP_ACT_KILL_PROCESS"
    old.process.update(args=["echo", "lives"])
    assert old.run().out == "lives\n"


def test_exec_where_other_calls_kill(old):
    old.spec["linux"]["seccomp"]["defaultAction"] = "SCMP_ACT_KILL_PROCESS"
    old.shell("exec sleep 1000").start()
    assert old.command("exec", old.id, "echo", "lives").out == "lives\n"
