"""The commands of `boxship-runtime` on a container of an ordinary user."""

import json
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.slow]

# Process 1 ignores a signal that it has no handler for.
_WAITS = "trap 'exit 3' TERM; echo up > /tmp/up; while :; do sleep 1; done"


def test_create_start_exec_kill_delete(box):
    box.shell(_WAITS).create()
    assert box.state()["status"] == "created"
    assert box.user.runtime("start", box.id).code == 0
    assert box.state()["status"] == "running"
    done = box.execute("sh", "-c", "id -u; readlink /proc/self/ns/pid; echo $$")
    assert done.code == 0, done.err
    uid, space, pid = done.out.split()
    assert uid == "0"
    # Its pid is one of the container's.
    assert space == str(Path(f"/proc/{box.state()['pid']}/ns/pid").readlink())
    assert 1 < int(pid) < 100
    assert box.execute("sh", "-c", "exit 9").code == 9
    assert box.user.runtime("delete", box.id).code == 1
    killed = box.user.runtime("kill", box.id, "KILL")
    assert killed.code == 0, killed.err
    _await_end(box)
    assert box.user.runtime("delete", box.id).code == 0
    assert box.user.runtime("state", box.id).code == 1


def test_list_and_processes(box):
    box.shell(_WAITS).start()
    listed = json.loads(box.user.runtime("list", "--format", "json").out)
    assert [entry["id"] for entry in listed] == [box.id]
    found = json.loads(box.user.runtime("ps", "--format", "json", box.id).out)
    assert box.state()["pid"] in found


def test_everybody_is_killed(box):
    box.shell(_WAITS).start()
    killed = box.user.runtime("kill", "--all", box.id, "KILL")
    assert killed.code == 0, killed.err
    _await_end(box)
    assert json.loads(box.user.runtime("ps", "--format", "json", box.id).out) == []


def test_exec_before_start_is_refused(box):
    box.create()
    done = box.execute("true")
    assert done.code == 1
    assert "after start" in done.err


def test_what_needs_a_group_is_refused_by_name(box):
    box.shell(_WAITS).start()
    if box.user.run("test", "-w", "/sys/fs/cgroup/cgroup.procs").code == 0:
        pytest.skip("this user may make groups")
    for words, said in (
        (("pause",), "cannot pause"),
        (("update", "--pids-limit", "9"), "cannot set linux.resources.pids"),
        (("events", "--stats"), "cannot count"),
    ):
        done = box.user.runtime(*words, box.id)
        assert done.code == 1
        assert said in done.err
        assert len(done.err.splitlines()) == 1


def test_exec_with_a_terminal_and_a_user(rich_user, make_box):
    box = make_box(rich_user).ranges().shell(_WAITS)
    box.start()
    done = rich_user.runtime("exec", "--tty", "--user", "1000:1000", box.id, "id", "-u")
    assert done.out.strip() == "1000", done.err


def _await_end(box):
    # A killed process is there for a moment; each question is a process, so this is no busy loop.
    deadline = time.monotonic() + 30
    while box.state()["status"] != "stopped":
        assert time.monotonic() < deadline
