"""Options of the OCI command line that crun's clients give."""

import json
import os
import subprocess
import sys

import pytest

from boxship.runtime.cgroups import detect, open_cgroup
from tests.system.runtime.conftest import PROGRAM, run

pytestmark = pytest.mark.root


def test_run_reads_another_file_than_config_json(box, tmp_path):
    box.shell("echo from elsewhere")
    (tmp_path / "other.json").write_text(json.dumps(box.spec))
    words = ("--bundle", str(box.bundle), "--config", "other.json", box.id)
    assert box.command("run", *words, cwd=tmp_path).out == "from elsewhere\n"


def test_run_keeps_what_has_ended(box):
    assert box.shell("exit 5").run("--keep").code == 5
    assert box.status() == "stopped"
    assert box.command("delete", box.id).code == 0
    assert "does not exist" in box.command("state", box.id).err


def test_a_run_that_fails_is_not_kept(box):
    box.process["args"] = ["nope"]
    assert box.run("--keep").code == 1
    assert "does not exist" in box.command("state", box.id).err


def test_delete_all_that_match(make_box):
    first, second, third = make_box(), make_box(), make_box()
    for box in (first, second, third):
        box.save()
        assert box.command("create", "--bundle", str(box.bundle), box.id).code == 0
    assert first.command("delete", "--force", "--regex", f"{first.id}|{second.id}").code == 0
    assert first.command("list", "--quiet").out.split() == [third.id]
    assert "is not a regular expression" in first.command("delete", "--regex", "(").err


def test_exec_in_a_group_below_the_containers(box):
    box.shell("exec sleep 100").start()
    command = ("cat", "/proc/self/cgroup")
    assert "does not exist" in box.command("exec", "--cgroup", "below", box.id, *command).err
    assert (
        "invalid --cgroup ../x: `..` components"
        in box.command("exec", "--cgroup", "../x", box.id, *command).err
    )
    group = open_cgroup(detect(), f"{box.spec['linux']['cgroupsPath']}/below")
    group.create()
    try:
        found = box.command("exec", "--cgroup", "/below", box.id, *command)
        assert (found.code, ":/below\n" in found.out) == (0, True), found
    finally:
        group.remove()


def test_cgroup_managers_that_are_not_there_are_refused(box):
    for name in ("systemd", "odd"):
        result = box.command("--cgroup-manager", name, "list")
        assert (result.code, "not supported" in result.err) == (1, True), name
    assert box.command("--cgroup-manager", "cgroupfs", "list").code == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ociVersion": "2.0.0"}, "ociVersion 2.0.0 is not supported (this runtime knows 1.x"),
        ({"ociVersion": "1.2"}, "ociVersion '1.2' is not a semantic version"),
        ({"ociVersion": None}, "ociVersion is missing"),
        ({"linux": "x"}, "linux must be an object, not a string"),
        ({"mounts": {"destination": "/x"}}, "mounts must be an array, not an object"),
    ],
)
def test_a_document_with_a_wrong_field_is_one_line_of_error(box, change, words):
    box.spec.update(change)
    result = box.run()
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert f"config.json: {words}" in result.err


def test_a_process_file_with_a_wrong_field_is_one_line_of_error(box, tmp_path):
    box.shell("sleep 100").start()
    process = tmp_path / "process.json"
    process.write_text('{"cwd": "/", "args": "true"}')
    result = box.command("exec", "--process", str(process), box.id)
    assert result.code == 1
    assert result.err == "boxship-runtime: process.args must be an array, not a string\n"


def test_a_log_that_cannot_be_written_to_is_told_before_anything_is_done(box, tmp_path):
    result = box.command("--log", str(tmp_path / "not/there"), "list")
    assert (result.code, result.out) == (1, "")
    assert "cannot open log" in result.err
    log = tmp_path / "log"
    assert box.command("--log", f"file:{log}", "--log-format", "json", "state", "no").code == 1
    assert json.loads(log.read_text())["level"] == "error"
    assert "journald is not supported" in box.command("--log", "journald:x", "list").err


@pytest.mark.parametrize(("option", "word"), [("--log-format", "xml"), ("--rootless", "maybe")])
def test_global_options_are_checked(box, option, word):
    result = box.command(option, word, "list")
    assert (result.code, "is not one of" in result.err) == (1, True)


def test_exec_adds_capabilities_without_making_them_inheritable(box):
    box.process["capabilities"] = {}
    box.shell("exec sleep 100").start()
    status = ("cat", "/proc/self/status")
    added = box.command("exec", "--cap", "CAP_KILL", box.id, *status)
    sets = dict(line.split(":\t", 1) for line in added.out.splitlines() if line.startswith("Cap"))
    assert sets == {
        "CapInh": f"{0:016x}",
        "CapPrm": f"{1 << 5:016x}",
        "CapEff": f"{1 << 5:016x}",
        "CapBnd": f"{1 << 5:016x}",
        "CapAmb": f"{0:016x}",
    }
    unknown = box.command("exec", "--cap", "CAP_NOPE", box.id, *status)
    assert (unknown.code, "no such capability" in unknown.err) == (1, True)


def test_exec_sets_and_clears_no_new_privileges(box):
    box.process["noNewPrivileges"] = True
    box.shell("exec sleep 100").start()
    found = {
        words: box.command("exec", *words, box.id, "grep", "NoNewPrivs", "/proc/self/status").out
        for words in ((), ("--no-new-privs=false",), ("--no-new-privs",))
    }
    assert [line.split()[1] for line in found.values()] == ["1", "0", "1"]


def test_exec_refuses_labels_of_modules_that_are_not_there(box):
    box.shell("exec sleep 100").start()
    for option in ("--apparmor", "--process-label"):
        result = box.command("exec", option, "x", box.id, "true")
        assert result.code != 0, option
        assert result.err.startswith("boxship-runtime: "), option


def test_exec_in_a_paused_container_waits_where_that_is_asked_for(box):
    box.shell("exec sleep 100").start()
    assert box.command("pause", box.id).code == 0
    assert "it is paused" in box.command("exec", box.id, "true").err
    words = [*PROGRAM, "--root", str(box.state), "exec", "--ignore-paused", box.id, "echo", "out"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as waiting:
        assert box.command("resume", box.id).code == 0
        assert waiting.communicate(timeout=20)[0] == "out\n"


def test_sockets_of_a_service_manager_are_handed_over(box, tmp_path):
    box.shell("echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES; cat <&3").save()
    (tmp_path / "file").write_text("from the manager\n")
    script = f'exec 3< {tmp_path}/file; exec "$@"'
    words = [*PROGRAM, "--root", str(box.state), "run", "--bundle", str(box.bundle), box.id]
    environment = {**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "door"}
    done = run("sh", "-c", script, "sh", *words, env=environment)
    assert done.out == "1 1 door\nfrom the manager\n", done.err
    # It says whom it is for, and that is somebody else.
    done = run("sh", "-c", script, "sh", *words, env={**environment, "LISTEN_PID": "1"})
    assert done.out.startswith("\n"), done.out


def test_a_number_that_is_to_be_kept_is_nothing_of_the_runtimes(box):
    box.shell("ls -l /proc/self/fd").save()
    words = [*PROGRAM, "--root", str(box.state), "run", "--preserve-fds", "4"]
    done = run(*words, "--bundle", str(box.bundle), box.id)
    assert done.code == 0, done.err
    assert "socket:" not in done.out
    # Nor does it lead to the host's files.
    box.process["args"] = ["/proc/self/fd/3/bin/sh", "-c", "echo out"]
    box.save()
    done = run(*words, "--bundle", str(box.bundle), box.id)
    assert (done.code, done.out) == (1, "")
    assert 'exec: "/proc/self/fd/3/bin/sh": not a directory' in done.err


def test_supplementary_groups_are_kept_where_an_annotation_says_so(box):
    box.shell("grep Groups: /proc/self/status").save()
    words = [*PROGRAM, "--root", str(box.state), "run", "--bundle", str(box.bundle), box.id]
    groups = {"extra_groups": [4711, 4712]}
    assert "4711" not in run(*words, **groups).out
    box.spec["annotations"] = {"run.oci.keep_original_groups": "1"}
    box.save()
    assert run(*words, **groups).out.split()[1:] == ["4711", "4712"]


def test_signals_by_name(box):
    box.shell("trap 'exit 3' RTMIN+3 2>/dev/null; trap 'exit 4' 37; while :; do sleep 0.01; done")
    box.start()
    assert "unknown signal 'KILL+x'" in box.command("kill", box.id, "KILL+x").err
    assert "unknown signal '65'" in box.command("kill", box.id, "65").err
    assert box.command("kill", box.id, "0").code == 0
    assert box.command("kill", "--regex", f"^{box.id}$", "SIGKILL").code == 0


def test_state_and_list_say_the_same(box):
    box.shell("exec sleep 100").start()
    state = json.loads(box.command("state", box.id).out)
    assert state["owner"] == "root"
    assert state["created"].endswith("Z")
    assert json.loads(box.command("list", "--format", "json").out) == [state]
    assert "has no column PID" in box.command("ps", box.id, "-o", "comm").err
    assert "unknown format" in box.command("ps", "--format", "xml", box.id).err


def test_checkpoints_are_refused_by_name(box):
    for name in ("checkpoint", "restore"):
        result = box.command(name, "--image-path", "/x", box.id)
        assert (result.code, f"{name} is not supported" in result.err) == (1, True)


def test_features_name_what_seccomp_profiles_may_use(box):
    found = json.loads(box.command("features").out)["linux"]["seccomp"]
    assert "SCMP_ACT_ERRNO" in found["actions"]
    assert "SCMP_CMP_MASKED_EQ" in found["operators"]


# Joins a new session keyring that is seen by whoever possesses it only, and tells its number
# (keyctl(2): JOIN_SESSION_KEYRING, SETPERM, GET_KEYRING_ID).
_OWN_KEYRING = """
import ctypes, os, sys
def keyctl(*words):
    number = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
    return ctypes.CDLL(None).syscall(number, *map(ctypes.c_long, words))
keyctl(1, 0)
keyctl(5, -3, 0x3F000000)
print(keyctl(0, -3, 0), flush=True)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_the_session_keyring_is_a_new_one_or_kept(box):
    box.spec["linux"]["maskedPaths"] = []
    box.shell("cat /proc/keys").save()
    kept = []
    for option in ((), ("--no-new-keyring",)):
        words = [*PROGRAM, "--root", str(box.state), "run", *option]
        words += ["--bundle", str(box.bundle), box.id]
        done = run(sys.executable, "-c", _OWN_KEYRING, *words)
        assert done.code == 0, done.err
        serial, *keys = done.out.splitlines()
        if int(serial) < 0:
            pytest.skip("this kernel keeps no keys")
        kept.append(any(line.startswith(f"{int(serial):08x} ") for line in keys))
    assert kept == [False, True]


def test_with_a_log_what_is_no_error_goes_there_only(box, tmp_path):
    log = tmp_path / "log"
    box.spec["hooks"] = {"poststop": [{"path": "/bin/false"}]}
    box.shell("echo out").save()
    words = ("--debug", "--log", str(log), "--log-format", "json", "run", "--bundle")
    result = box.command(*words, str(box.bundle), box.id)
    assert result == (0, "out\n", "")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["level"] for line in lines} == {"debug", "warning"}
    assert lines[-1]["msg"] == "poststop hook failed with exit code 1: /bin/false"


@pytest.mark.parametrize("field", ["hostname", "domainname"])
def test_a_name_is_set_in_one_place(box, field):
    box.spec[field] = "one"
    box.spec["linux"]["sysctl"][f"kernel.{field}"] = "other"
    assert f"{field} is set, and so is linux.sysctl kernel.{field}" in box.run().err
    del box.spec[field]
    assert (box.run().code == 0) == (field == "domainname")


@pytest.mark.parametrize("word", ["4294967295", "0:4294967296", "\u00b2"])
def test_exec_refuses_ids_that_the_kernel_takes_for_others(box, word):
    box.shell("exec sleep 100").start()
    done = box.command("exec", "--user", word, box.id, "id", "-u")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), done
    limit = box.command("update", "--memory", "\u00b2", box.id)
    assert "--memory needs a number of bytes" in limit.err
