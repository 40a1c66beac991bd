"""Fields of `process` and of namespaces: what a wrong or impossible value leads to."""

import json
import os
import socket

import pytest

from boxship.kernel import capabilities, seccomp
from boxship.kernel.linux import LinuxKernel

pytestmark = pytest.mark.root


def test_unknown_capabilities_are_left_out_with_a_warning(box):
    sets = box.process["capabilities"]
    for names in sets.values():
        names.append("CAP_TIME_TRAVEL")
    result = box.shell("grep CapBnd /proc/self/status").run()
    assert result.code == 0
    assert "warning: unknown capabilities are left out: CAP_TIME_TRAVEL" in result.err
    known = [name for name in sets["bounding"] if name != "CAP_TIME_TRAVEL"]
    assert int(result.out.split()[1], 16) == capabilities.mask(known)


def test_what_is_not_permitted_is_not_effective(box):
    box.process["capabilities"] = {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"]}
    # Root would get what is in the bounding set by executing a program.
    box.process["user"] = {"uid": 1000, "gid": 1000}
    result = box.shell("grep CapEff /proc/self/status").run()
    assert int(result.out.split()[1], 16) == 0
    assert "warning: not permitted, and so not effective capabilities: CAP_KILL" in result.err


def test_a_process_file_with_an_unknown_capability(box, tmp_path):
    box.shell("sleep 100").start()
    sets = {"bounding": ["CAP_TIME_TRAVEL"]}
    process = {**box.process, "args": ["true"], "capabilities": sets}
    (tmp_path / "process").write_text(json.dumps(process))
    result = box.command("exec", "--process", str(tmp_path / "process"), box.id)
    assert result.code == 0, result.err
    assert "CAP_TIME_TRAVEL" in result.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"oomScoreAdj": 1001}, "process.oomScoreAdj 1001 is not between -1000 and 1000"),
        ({"user": {"uid": 4294967295}}, "process.user.uid must be an integer from 0 to 4294967294"),
        (
            {"rlimits": [{"type": "RLIMIT_TIME", "soft": 1, "hard": 1}]},
            "unknown type in process.rlimits: 'RLIMIT_TIME'",
        ),
        (
            {"rlimits": [{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]},
            "process.rlimits: RLIMIT_CORE has soft 2 above hard 1",
        ),
        ({"apparmorProfile": "acme"}, "process.apparmorProfile"),
        ({"selinuxLabel": "a:b:c:d"}, "process.selinuxLabel"),
    ],
)
def test_values_that_cannot_be(box, change, words):
    machine = LinuxKernel().probe()
    if ("apparmorProfile" in change and machine.apparmor) or machine.selinux:
        pytest.skip("this host has it")
    box.process.update(change)
    result = box.run()
    assert result.code == 1
    assert words in result.err


def test_a_namespace_of_another_type(box, tmp_path):
    for kind, path in (
        ("network", "/proc/self/ns/uts"),
        ("uts", "/etc/passwd"),
        ("user", "/proc/self/ns/mnt"),
    ):
        before = list(box.spec["linux"]["namespaces"])
        box.namespace(kind, path)
        result = box.run()
        assert result.code == 1
        assert f"linux.namespaces: {path} is not a {kind} namespace" in result.err
        box.spec["linux"]["namespaces"] = before


def test_the_hostname_is_given_twice(box):
    box.spec["hostname"] = "one"
    box.spec["linux"]["sysctl"]["kernel/hostname"] = "two"
    assert "hostname is set, and so is linux.sysctl kernel.hostname" in box.run().err
    box.spec["linux"]["sysctl"] = {"kernel.domainname": "two"}
    box.spec["domainname"] = "one"
    assert "domainname is set, and so is linux.sysctl kernel.domainname" in box.run().err


def test_the_terminal_of_an_exec_process_has_a_size(box, tmp_path):
    box.shell("sleep 100").start()
    process = tmp_path / "process.json"
    fields = {
        "cwd": "/",
        "args": ["stty", "size"],
        "env": ["PATH=/bin"],
        "terminal": True,
        "consoleSize": {"height": 33, "width": 77},
    }
    process.write_text(json.dumps(fields))
    path = str(tmp_path / "console")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        words = ("exec", "--process", str(process), "--console-socket", path, box.id)
        result = box.command(*words)
        assert result.code == 0, result.err
        connection, _ = listener.accept()
        with connection:
            _, descriptors, _, _ = socket.recv_fds(connection, 64, 1)
        with os.fdopen(descriptors[0], "rb", buffering=0) as master:
            assert master.read(100).split() == [b"33", b"77"]


def test_features_are_the_specifications(box):
    told = json.loads(box.command("features").out)
    assert told["ociVersionMin"] == "1.0.0"
    assert told["hooks"][0] == "prestart"
    assert {"rro", "idmap", "tmpcopyup"} <= set(told["mountOptions"])
    linux = told["linux"]
    assert "time" in linux["namespaces"]
    assert linux["netDevices"] == {"enabled": True}
    assert "MPOL_WEIGHTED_INTERLEAVE" in linux["memoryPolicy"]["modes"]
    assert linux["intelRdt"]["enabled"] is False
    filters = linux["seccomp"]
    assert "SCMP_ACT_NOTIFY" in filters["actions"]
    assert "SCMP_CMP_MASKED_EQ" in filters["operators"]
    assert set(filters["supportedFlags"]) <= set(filters["knownFlags"])


def test_every_architecture_that_is_told_compiles(box):
    told = json.loads(box.command("features").out)["linux"]["seccomp"]["archs"]
    # A filter is for one byte order.
    little = [name for name in told if name in ("SCMP_ARCH_X86", "SCMP_ARCH_X32")]
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": little,
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}],
    }
    assert seccomp.compile_filter(profile)


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({"uid": 70_000}, "process.user.uid: 70000 is not in linux.uidMappings"),
        ({"gid": 70_000}, "process.user.gid: 70000 is not in linux.gidMappings"),
        ({"additionalGids": [5, 70_000]}, "additionalGids: 70000 is not in linux.gidMappings"),
    ],
)
def test_an_id_that_is_not_mapped(box, user, words):
    box.user_namespace()
    box.process["user"].update(user)
    assert words in box.run().err


def test_groups_in_a_user_namespace(box):
    box.user_namespace()
    box.process["user"]["additionalGids"] = [5, 65_535]
    result = box.shell("grep Groups /proc/self/status").run()
    assert {"5", "65535"} <= set(result.out.split()), result.err


@pytest.mark.parametrize("confined", [False, True])
def test_exec_under_a_filter_that_forbids_clone(box, confined):
    box.process["noNewPrivileges"] = confined
    box.spec["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["clone", "clone3"], "action": "SCMP_ACT_KILL_PROCESS"}],
    }
    box.process["args"] = ["sleep", "100"]
    box.start()
    result = box.command("exec", box.id, "cat", "/proc/self/stat")
    # It leads its session.
    fields = result.out.split()
    assert fields[0] == fields[5], result.err
