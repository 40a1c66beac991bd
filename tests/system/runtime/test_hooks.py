"""Hooks: where each runs, what it gets, and what its failure ends."""

import json

import pytest

pytestmark = pytest.mark.root


def shell_hook(script: str, **more: object) -> dict[str, object]:
    return {"path": "/bin/sh", "args": ["sh", "-c", script], **more}


def test_hooks_run_in_order_and_see_the_state(box, tmp_path):
    trace = tmp_path / "trace"
    script = f'cat >> {trace}; echo " $0 $MARK" >> {trace}'
    names = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"]
    names.append("poststop")
    box.spec["hooks"] = {
        name: [{"path": "/bin/sh", "args": ["sh", "-c", script, name], "env": ["MARK=m"]}]
        for name in names
        if name != "startContainer"
    }
    box.spec["hooks"]["startContainer"] = [
        {"path": "/bin/sh", "args": ["sh", "-c", "cat > /home/seen"], "env": ["PATH=/bin"]}
    ]
    box.spec["mounts"].append({"destination": "/home", "type": "tmpfs", "options": []})
    result = box.shell("cat /home/seen").run()
    assert result.code == 0, result.err
    assert json.loads(result.out)["id"] == box.id
    lines = trace.read_text().splitlines()
    assert [line.rpartition("} ")[2] for line in lines] == [
        f"{name} m" for name in names if name != "startContainer"
    ]
    states = [json.loads(line.rpartition(" ")[0].rpartition(" ")[0]) for line in lines]
    assert [state["status"] for state in states] == [
        "creating",
        "creating",
        "creating",
        "running",
        "stopped",
    ]


def test_a_failing_hook_stops_the_start(box):
    script = "echo it broke >&2; exit 3"
    box.spec["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}
    result = box.run()
    assert result.code == 1
    assert "createRuntime hook failed with exit code 3: /bin/sh: it broke" in result.err


@pytest.mark.slow
def test_a_slow_hook_is_killed(box):
    hook = {"path": "/bin/sleep", "args": ["sleep", "100"], "timeout": 1}
    box.spec["hooks"] = {"createContainer": [hook]}
    assert "createContainer hook failed: /bin/sleep took longer than 1 s" in box.run().err


@pytest.mark.parametrize("separate", [False, True])
def test_hooks_before_the_root_is_entered_find_its_mounts_in_the_bundle(box, tmp_path, separate):
    if separate:
        box.user_namespace()
    found = tmp_path / "found"
    there = f"test -e {box.root}/proc/1"
    enter = "nsenter -m -t $(grep -o '.pid.: *[0-9]*' | grep -o '[0-9]*')"
    box.spec["hooks"] = {
        "createRuntime": [shell_hook(f"{enter} {there} && echo runtime > {found}")],
        # A mapped root may not be allowed to search the directories above.
        "createContainer": [shell_hook("true" if separate else there)],
    }
    result = box.shell("echo ran").run()
    assert (result.code, result.out) == (0, "ran\n"), result.err
    assert found.read_text() == "runtime\n"


def test_what_a_hook_mounts_in_the_root_is_there(box):
    box.spec["hooks"] = {
        "createContainer": [shell_hook(f"mount -t tmpfs -o size=123k hook {box.root}/home")]
    }
    box.spec["root"]["readonly"] = True
    result = box.shell("grep ' /home ' /proc/mounts").run()
    assert "size=12" in result.out, result.err


def test_a_hook_has_the_environment_it_is_given_and_no_more(box, tmp_path):
    saved = tmp_path / "environment"
    script = f"cat /proc/$$/environ | tr '\\0' '\\n' > {saved}.$0"
    hooks = [
        {"path": "/bin/sh", "args": ["sh", "-c", script, name], **given}
        for name, given in (("none", {}), ("empty", {"env": []}), ("one", {"env": ["A=b"]}))
    ]
    box.spec["hooks"] = {"createRuntime": hooks}
    result = box.run()
    assert result.code == 0, result.err
    assert "PATH=" in (tmp_path / "environment.none").read_text()
    assert (tmp_path / "environment.empty").read_text() == ""
    assert (tmp_path / "environment.one").read_text() == "A=b\n"


def test_a_hook_in_the_root_has_the_containers_environment_not_the_hosts(box):
    box.process["env"].append("MARK=m")
    box.spec["mounts"].append({"destination": "/home", "type": "tmpfs", "options": []})
    box.spec["hooks"] = {"startContainer": [shell_hook("env > /home/seen")]}
    result = box.shell("cat /home/seen").run()
    names = {line.partition("=")[0] for line in result.out.splitlines()}
    assert names - {"SHLVL", "PWD"} == {"PATH", "TERM", "HOME", "MARK"}


def test_a_hook_starts_in_the_bundle_with_plain_signals_and_no_descriptors(box, tmp_path):
    saved = tmp_path / "seen"
    script = (
        f"exec > {saved}; pwd; umask; ls /proc/$$/fd | wc -l; exec grep Sig[BI] /proc/self/status"
    )
    box.spec["hooks"] = {"createContainer": [shell_hook(script)]}
    box.save()
    box.command("run", "--bundle", str(box.bundle), box.id)
    place, umask, open_files, blocked, ignored = saved.read_text().splitlines()
    assert (place, umask) == (str(box.bundle), "0022")
    assert int(open_files) <= 4
    # The C library keeps 32 and 33 to itself, for who started the tests too.
    of_the_library = 1 << 31 | 1 << 32
    for mask in (blocked, ignored):
        assert int(mask.split()[1], 16) & ~of_the_library == 0, mask


def test_output_of_hooks_goes_where_annotations_say(box, tmp_path):
    out, err = tmp_path / "out", tmp_path / "err"
    box.spec["annotations"] = {"run.oci.hooks.stdout": str(out), "run.oci.hooks.stderr": str(err)}
    hook = shell_hook("echo to-out; echo to-err >&2")
    box.spec["hooks"] = {"prestart": [hook], "poststop": [hook]}
    result = box.run()
    assert result.code == 0, result.err
    assert (out.read_text(), err.read_text()) == ("to-out\n" * 2, "to-err\n" * 2)


def test_an_annotation_that_is_no_path(box):
    box.spec["annotations"] = {"run.oci.hooks.stdout": "/a\0b"}
    box.spec["hooks"] = {"prestart": [shell_hook("true")]}
    result = box.run()
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "run.oci.hooks.stdout '/a\\x00b' has a zero byte" in result.err


@pytest.mark.parametrize("name", ["prestart", "createRuntime", "createContainer", "startContainer"])
def test_a_failed_hook_destroys_the_container_and_calls_poststop(box, tmp_path, name):
    mark = tmp_path / "mark"
    box.spec["hooks"] = {name: [shell_hook("exit 3")], "poststop": [shell_hook(f"cat > {mark}")]}
    result = box.shell("echo ran").run()
    assert (result.code, result.out) == (1, "")
    assert f"{name} hook failed with exit code 3" in result.err
    assert json.loads(mark.read_text())["status"] == "stopped"
    assert box.command("state", box.id).code == 1


@pytest.mark.parametrize("name", ["startContainer", "poststart"])
def test_a_hook_that_fails_at_start_deletes_the_container(box, tmp_path, name):
    mark = tmp_path / "mark"
    box.spec["hooks"] = {name: [shell_hook("exit 3")], "poststop": [shell_hook(f"cat > {mark}")]}
    box.shell("exec sleep 100").save()
    assert box.command("create", "--bundle", str(box.bundle), box.id).code == 0
    assert not mark.exists()
    started = box.command("start", box.id)
    assert started.code == 1
    assert f"{name} hook failed with exit code 3" in started.err
    assert mark.exists()
    assert "does not exist" in box.command("state", box.id).err


def test_poststop_hooks_that_fail_are_warnings(box, tmp_path):
    mark = tmp_path / "mark"
    failing = shell_hook("kill -9 $$")
    box.spec["hooks"] = {"poststop": [failing, shell_hook(f"echo > {mark}")]}
    result = box.run()
    assert result.code == 0
    assert "warning: poststop hook failed with signal 9: /bin/sh" in result.err
    assert mark.exists()


def test_a_hook_may_have_more_time_than_poll_can_wait(box, tmp_path):
    mark = tmp_path / "mark"
    box.spec["hooks"] = {"prestart": [shell_hook(f"echo > {mark}", timeout=1 << 62)]}
    assert box.run().code == 0
    assert mark.exists()


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_hook_without_time_is_refused(box, timeout):
    box.spec["hooks"] = {"prestart": [shell_hook("true", timeout=timeout)]}
    assert "is not positive" in box.run().err
