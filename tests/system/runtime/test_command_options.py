"""Options of the OCI command line that crun's clients give."""

import json

import pytest

from boxship.runtime.cgroups import detect, open_cgroup

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
