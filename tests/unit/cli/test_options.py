"""What flags of `run` and `create` become in the request's body."""

import pytest

from boxship.cli.flags import UsageError, parse
from boxship.cli.options.container import attached_streams, create_body, ulimit
from boxship.cli.options.mounts import bind, mount
from boxship.cli.options.ports import expose, publish
from boxship.cli.options.values import duration, environment, size
from boxship.cli.table import load


def body(*words, detached=False):
    command = load("run")
    return create_body(parse(command.flags, words, interspersed=False), detached=detached)


def test_the_least_request():
    document = body("busybox", "echo", "hi")
    assert document["Image"] == "busybox"
    assert document["Cmd"] == ["echo", "hi"]
    assert document["AttachStdout"] is True
    assert document["OpenStdin"] is False


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["-m", "64m"], "Memory", 64 << 20),
        (["--cpus", "1.5"], "NanoCpus", 1_500_000_000),
        (["--pids-limit", "5"], "PidsLimit", 5),
        (["--cap-add", "NET_ADMIN", "--cap-add", "SYS_TIME"], "CapAdd", ["NET_ADMIN", "SYS_TIME"]),
        (["--privileged"], "Privileged", True),
        (["--read-only"], "ReadonlyRootfs", True),
        (["--init"], "Init", True),
        (["--rm"], "AutoRemove", True),
        (["--network", "none"], "NetworkMode", "none"),
        (["--userns", "host"], "UsernsMode", "host"),
        (["--add-host", "a:1.2.3.4"], "ExtraHosts", ["a:1.2.3.4"]),
        (["--dns", "9.9.9.9"], "Dns", ["9.9.9.9"]),
        (
            ["--restart", "on-failure:3"],
            "RestartPolicy",
            {"Name": "on-failure", "MaximumRetryCount": 3},
        ),
        (["--tmpfs", "/t:size=1m"], "Tmpfs", {"/t": "size=1m"}),
        (["-v", "vol:/data:ro"], "Binds", ["vol:/data:ro"]),
        (["-p", "8080:80"], "PortBindings", {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}),
        (["-P"], "PublishAllPorts", True),
    ],
)
def test_host_options(words, field, value):
    assert body(*words, "busybox")["HostConfig"][field] == value


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["-w", "/x"], "WorkingDir", "/x"),
        (["-u", "1:2"], "User", "1:2"),
        (["-h", "name"], "Hostname", "name"),
        (["--entrypoint", "sh"], "Entrypoint", ["sh"]),
        (["--entrypoint", ""], "Entrypoint", [""]),
        (["-e", "A=b"], "Env", ["A=b"]),
        (["--label", "a=b", "--label", "c"], "Labels", {"a": "b", "c": ""}),
        (["--stop-signal", "INT"], "StopSignal", "INT"),
        (["-v", "/data"], "Volumes", {"/data": {}}),
        (["--expose", "80-81"], "ExposedPorts", {"80/tcp": {}, "81/tcp": {}}),
    ],
)
def test_container_options(words, field, value):
    assert body(*words, "busybox")[field] == value


def test_streams():
    command = load("run")

    def streams(*words, detached=False):
        return attached_streams(parse(command.flags, [*words, "x"]), detached=detached)

    assert streams() == {"stdout", "stderr"}
    assert streams("-i") == {"stdin", "stdout", "stderr"}
    assert streams("-a", "STDERR") == {"stderr"}
    assert streams(detached=True) == set()
    with pytest.raises(UsageError, match="valid streams are STDIN, STDOUT and STDERR"):
        streams("-a", "x")


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (["80"], {"80/tcp": [("", "")]}),
        (["127.0.0.1::80/udp"], {"80/udp": [("127.0.0.1", "")]}),
        (["127.0.0.1:0:80"], {"80/tcp": [("127.0.0.1", "")]}),
        (["[::1]:8080:80"], {"80/tcp": [("::1", "8080")]}),
        (["80-81:90-91"], {"90/tcp": [("", "80")], "91/tcp": [("", "81")]}),
        (["8000-8010:80"], {"80/tcp": [("", "8000-8010")]}),
        (["1:80", "2:80"], {"80/tcp": [("", "1"), ("", "2")]}),
    ],
)
def test_publish(items, expected):
    found = {
        key: [(item["HostIp"], item["HostPort"]) for item in bindings]
        for key, bindings in publish(items).items()
    }
    assert found == expected


@pytest.mark.parametrize("item", ["x", "80/icmp", "1-3:4-5", "70000", "80-79"])
def test_what_is_no_publication_is_refused(item):
    with pytest.raises(UsageError):
        publish([item])


def test_expose():
    assert expose(["80", "53/udp", "1-2"]) == ["80/tcp", "53/udp", "1/tcp", "2/tcp"]


def test_mounts():
    assert mount("type=bind,src=/a,dst=/b,readonly") == {
        "Type": "bind",
        "Source": "/a",
        "Target": "/b",
        "ReadOnly": True,
    }
    assert mount("target=/x")["Type"] == "volume"
    assert mount("type=tmpfs,target=/x,tmpfs-size=1m")["TmpfsOptions"] == {"SizeBytes": 1 << 20}
    with pytest.raises(UsageError):
        mount("type=bind,nonsense=1,target=/x")
    assert bind("vol:/x") == "vol:/x"
    assert bind("./a:/x").startswith("/")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1024", 1024),
        ("1k", 1024),
        ("1.5g", 3 << 29),
        ("64MiB", 64 << 20),
        ("2MB", 2 << 20),
        ("-1", -1),
    ],
)
def test_sizes(text, expected):
    assert size(text, "memory") == expected


def test_durations():
    assert duration("1m30s", "x") == 90 * 10**9
    assert duration("500ms", "x") == 5 * 10**8
    for text in ("5", "x", "1x"):
        with pytest.raises(UsageError):
            duration(text, "x")


def test_environment(tmp_path, monkeypatch):
    file = tmp_path / "env"
    file.write_text("# comment\nA=1\n\nB=two words\nHERE\nNOT_HERE\n")
    monkeypatch.setenv("HERE", "yes")
    monkeypatch.delenv("NOT_HERE", raising=False)
    assert environment(["C=3"], [str(file)]) == ["A=1", "B=two words", "HERE=yes", "C=3"]


def test_ulimits():
    assert ulimit("nofile=1:2") == {"Name": "nofile", "Soft": 1, "Hard": 2}
    assert ulimit("core=0") == {"Name": "core", "Soft": 0, "Hard": 0}
    with pytest.raises(UsageError, match="invalid ulimit argument: core"):
        ulimit("core")
