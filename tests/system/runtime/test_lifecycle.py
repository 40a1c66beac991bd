"""The commands of the OCI runtime, as an engine calls them."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.system.runtime.conftest import PROGRAM

pytestmark = pytest.mark.root


def test_run_passes_output_and_exit_code_on(box):
    result = box.shell("echo out; echo err >&2; exit 7").run()
    assert result == (7, "out\n", "err\n")


def test_run_leaves_nothing_behind(box):
    box.run()
    assert not list(box.state.glob(f"{box.id}*"))
    assert box.command("state", box.id).err == (
        f'boxship-runtime: container "{box.id}" does not exist\n'
    )


def test_a_signal_is_128_and_its_number(box):
    box.namespace("pid", "-")
    assert box.shell("kill -9 $$").run().code == 137


def test_states_from_create_to_delete(box, tmp_path):
    box.shell("exec sleep 100").save()
    pid_file = tmp_path / "pid"
    create = ("create", "--bundle", str(box.bundle), "--pid-file", str(pid_file), box.id)
    assert box.command(*create).code == 0
    state = json.loads(box.command("state", box.id).out)
    assert state["status"] == "created"
    assert state["pid"] == int(pid_file.read_text())
    assert state["bundle"] == str(box.bundle)
    assert box.command("start", box.id).code == 0
    assert box.status() == "running"
    assert box.command("pause", box.id).code == 0
    assert box.status() == "paused"
    assert box.command("resume", box.id).code == 0
    assert box.command("kill", box.id, "SIGKILL").code == 0
    wait_until_gone(state["pid"])
    assert box.status() == "stopped"
    assert box.command("delete", box.id).code == 0
    assert box.command("state", box.id).code == 1


def wait_until_gone(pid):
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    select.select([pidfd], [], [], 10)
    os.close(pidfd)


def test_what_a_state_forbids(box):
    box.shell("exec sleep 100").start()
    cases = {
        ("delete", box.id): f"cannot delete container {box.id} that is not stopped: running",
        ("start", box.id): f"cannot start container {box.id}: it is running",
        ("resume", box.id): f"cannot resume container {box.id}: it is running",
        ("create", "--bundle", str(box.bundle), box.id): f"container with id exists: {box.id}",
    }
    for words, text in cases.items():
        result = box.command(*words)
        assert (result.code, text in result.err) == (1, True), result.err
    assert box.command("delete", "--force", box.id).code == 0
    assert "does not exist" in box.command("kill", box.id, "9").err
    assert box.command("delete", "--force", box.id).code == 0


def test_a_created_container_can_be_deleted(box):
    box.save()
    assert box.command("create", "--bundle", str(box.bundle), box.id).code == 0
    assert box.command("delete", box.id).code == 0


def test_a_start_that_fails_says_why_and_ends(box, root):
    (root / "bin/odd").write_text("#!/no/such/interpreter\n")
    (root / "bin/odd").chmod(0o755)
    box.spec["root"]["path"] = str(root)
    box.process["args"] = ["odd"]
    box.save()
    assert box.command("create", "--bundle", str(box.bundle), box.id).code == 0
    started = box.command("start", box.id)
    assert started.err == "boxship-runtime: exec /bin/odd: no such file or directory\n"
    assert box.status() == "stopped"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"args": ["nope"]}, 'exec: "nope": executable file not found in $PATH'),
        ({"args": ["/nope"]}, 'exec: "/nope": stat /nope: no such file or directory'),
        ({"args": ["/etc/passwd"]}, 'exec: "/etc/passwd": permission denied'),
        ({"cwd": "/etc/passwd"}, 'chdir to cwd ("/etc/passwd") set in config.json failed: not a'),
        (
            {"user": {"username": "nobody"}},
            "unable to find user nobody: no matching entries in passwd file",
        ),
    ],
)
def test_create_fails_with_texts_that_clients_match(box, tmp_path, change, text):
    box.process.update(change)
    box.save()
    log = tmp_path / "log.json"
    place = ("--log", str(log), "--log-format", "json")
    result = box.command(*place, "create", "--bundle", str(box.bundle), box.id)
    assert result.code == 1
    assert text in result.err
    assert text in json.loads(log.read_text())["msg"]
    assert box.command("state", box.id).code == 1


def test_a_bad_bundle(box, tmp_path):
    cases = {"": "config.json does not exist", "{": "is not JSON", "[]": "must be an object"}
    for content, text in cases.items():
        if content:
            (box.bundle / "config.json").write_text(content)
        assert text in box.command("run", "--bundle", str(box.bundle), box.id).err


def test_ids_that_are_no_names(box):
    box.save()
    for name in ("..", "a/b", "ü"):
        result = box.command("run", "--bundle", str(box.bundle), name)
        assert "container ID" in result.err
        assert "invalid" in result.err


def test_kill_all_and_ps(box):
    box.shell("sleep 100 & sleep 100 & wait").start()
    pids = json.loads(box.command("ps", "--format", "json", box.id).out)
    assert box.pid() in pids
    assert "sleep 100" in box.command("ps", box.id).out
    assert box.command("kill", "--all", box.id, "KILL").code == 0
    wait_until_gone(pids[0])
    assert box.status() == "stopped"


def test_exec_joins_everything_and_returns_the_code(box):
    box.shell("exec sleep 100").start()
    script = "echo $A; pwd; id -u; hostname; cat /proc/1/cmdline | tr '\\0' ' '; exit 3"
    words = ("--env", "A=b", "--cwd", "/home", "--user", "1000:1000", box.id, "sh", "-c", script)
    result = box.command("exec", *words)
    assert result.code == 3
    assert result.out.split("\n")[:3] == ["b", "/home", "1000"]
    assert "sleep 100" in result.out
    group = box.command("exec", box.id, "cat", "/proc/self/cgroup").out
    assert all(line.endswith(":/") for line in group.splitlines())
    assert len(json.loads(box.command("ps", "--format", "json", box.id).out)) == 1


def test_exec_fails_with_texts_that_clients_match(box):
    box.shell("exec sleep 100").start()
    result = box.command("exec", box.id, "nope")
    assert (result.code, result.err) == (
        1,
        'boxship-runtime: exec: "nope": executable file not found in $PATH\n',
    )
    pid = box.pid()
    box.command("kill", box.id, "9")
    wait_until_gone(pid)
    assert f"cannot exec in container {box.id}: it is stopped" in (
        box.command("exec", box.id, "true").err
    )


def test_exec_from_a_file_in_the_background(box, tmp_path):
    box.shell("exec sleep 100").start()
    process = {"args": ["sleep", "99"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 1000}}
    (tmp_path / "process.json").write_text(json.dumps(process))
    words = ("--process", str(tmp_path / "process.json"), "--pid-file", str(tmp_path / "p"))
    assert box.command("exec", "--detach", *words, box.id).code == 0
    pid = int((tmp_path / "p").read_text())
    assert pid in json.loads(box.command("ps", "--format", "json", box.id).out)
    assert Path(f"/proc/{pid}").stat().st_uid == 1000


def test_update_changes_limits(box):
    box.shell("exec sleep 100").start()
    assert box.command("update", "--pids-limit", "77", box.id).code == 0
    stats = json.loads(box.command("events", "--stats", box.id).out)
    assert stats["data"]["pids"] == {"current": 1, "limit": 77}
    resources = json.dumps({"pids": {"limit": 55}})
    assert box.command("update", "--resources", "-", box.id, input=resources).code == 0
    stats = json.loads(box.command("events", "--stats", box.id).out)
    assert stats["data"]["pids"]["limit"] == 55


def test_list(make_box):
    first, second = make_box(), make_box()
    first.shell("exec sleep 100").start()
    second.shell("exec sleep 100").start()
    assert set(first.command("list", "--quiet").out.split()) == {first.id, second.id}
    rows = json.loads(first.command("list", "--format", "json").out)
    assert {row["id"]: row["status"] for row in rows}[first.id] == "running"
    assert first.command("list").out.startswith("ID ")


def test_a_terminal_goes_to_the_console_socket(box, tmp_path):
    box.process["terminal"] = True
    box.shell("test -t 0 && tty && stty size && ls /dev/console").save()
    path = str(tmp_path / "console")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        masters = []

        def take():
            connection, _ = listener.accept()
            with connection:
                _, fds, _, _ = socket.recv_fds(connection, 100, 1)
            masters.extend(fds)

        taking = threading.Thread(target=take)
        taking.start()
        box.process["consoleSize"] = {"height": 30, "width": 100}
        box.save()
        words = ("--bundle", str(box.bundle), "--console-socket", path, box.id)
        assert box.command("create", *words).code == 0
        taking.join(10)
    assert box.command("start", box.id).code == 0
    output = b""
    try:
        while chunk := os.read(masters[0], 1000):
            output += chunk
    except OSError:
        pass
    os.close(masters[0])
    assert output.decode().split() == ["/dev/pts/0", "30", "100", "/dev/console"]


def test_a_terminal_without_a_console_socket_needs_run(box):
    box.process["terminal"] = True
    box.save()
    result = box.command("create", "--bundle", str(box.bundle), box.id)
    assert "a container with a terminal needs a console socket" in result.err


def test_run_carries_a_terminal(box):
    box.process["terminal"] = True
    result = box.shell("test -t 1 && echo yes; exit 4").run()
    assert (result.code, result.out) == (4, "yes\r\n")


def test_run_passes_signals_on(box):
    box.shell("trap 'echo got; exit 9' TERM; echo ready; while :; do sleep 0.01; done").save()
    words = (*PROGRAM, "--root", str(box.state), "run", "--bundle", str(box.bundle), box.id)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "got\n"
        assert process.wait(10) == 9


def test_debug_prints_the_plan(box):
    box.save()
    result = box.command("--debug", "run", "--bundle", str(box.bundle), box.id)
    assert "plan: pivot into the root\n" in result.err


def test_descriptors_are_passed_when_asked(box):
    reading, writing = os.pipe()
    os.write(writing, b"through")
    os.close(writing)
    box.shell("head -c 7 <&3").save()
    words = (*PROGRAM, "--root", str(box.state), "run", "--bundle", str(box.bundle))
    script = f"import os,sys; os.dup2({reading}, 3); os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(
        (sys.executable, "-c", script, *words, "--preserve-fds", "1", box.id),
        pass_fds=(reading,),
        capture_output=True,
        check=False,
    )
    os.close(reading)
    assert (done.returncode, done.stdout) == (0, b"through"), done.stderr


def test_two_containers_do_not_share_a_cgroup(make_box):
    first, second = make_box(), make_box()
    first.shell("exec sleep 100").start()
    second.spec["linux"]["cgroupsPath"] = first.spec["linux"]["cgroupsPath"]
    assert "is in use by 1 processes" in second.run().err
    assert first.status() == "running"


def test_other_commands(box, tmp_path):
    assert "usage" in box.command("--help").out
    assert "usage: boxship-runtime run" in box.command("run", "--help").out
    assert "spec: 1." in box.command("--version").out
    assert "mount" in json.loads(box.command("features").out)["linux"]["namespaces"]
    assert box.command("spec", "--bundle", str(tmp_path)).code == 0
    assert json.loads((tmp_path / "config.json").read_text())["process"]["args"] == ["sh"]
    assert "unknown command 'fly'" in box.command("fly").err
    assert "usage: boxship-runtime state" in box.command("state").err
    assert "--systemd-cgroup" in box.command("--systemd-cgroup", "list").err


def test_what_ps_may_print(box):
    # One process has no name, so its line lacks a column; another's name is no UTF-8.
    script = "printf '\\000' > /proc/self/comm; sleep 100; true"
    box.shell(f"(printf '\\377' > /proc/self/comm; sleep 100; true) & {script}").start()
    shown = box.command("ps", box.id, "-eo", "comm,pid")
    assert (shown.code, shown.out.split()[:2]) == (0, ["COMMAND", "PID"]), shown.err
    assert shown.out.count("sleep") == 2
    assert box.command("ps", box.id, "-eo", "comm=,pid=").err.startswith("boxship-runtime: what ps")


def test_a_warning_goes_to_the_log(box, tmp_path):
    box.shell("exec sleep 100").start()
    (box.state / "bad").mkdir()
    (box.state / "bad/state.json").write_text("{}")
    log = tmp_path / "log"
    shown = box.command("--log", str(log), "list", "-q")
    assert (shown.out, shown.err) == (f"{box.id}\n", "")
    assert "level=warning" in log.read_text()
    assert "bad is damaged" in log.read_text()
