"""What a user can get wrong on the command line: one clear line, the right exit code, no traces."""

import re
import socket
from contextlib import contextmanager
from typing import Any

import pytest

pytestmark = [
    pytest.mark.root,
    pytest.mark.overlayfs,
    pytest.mark.netns,
    pytest.mark.usefixtures("unchanged"),
]

RUN = [
    (["127.0.0.1:1/app", "true"], 125, "registry 127.0.0.1:1 does not answer: connection refused"),
    (["UPPER", "true"], 125, "invalid reference format: repository name .* must be lowercase"),
    (["busybox:bad tag", "true"], 125, "invalid reference format: 'busybox:bad tag'"),
    (["--name", "taken", "busybox"], 125, 'Conflict. The container name "/taken" is already in'),
    (["--name", "-x", "busybox"], 125, r"Invalid container name \(-x\)"),
    (["busybox", "nosuch"], 127, r'exec: "nosuch": executable file not found in \$PATH'),
    (["busybox", "/no/such"], 127, 'exec: "/no/such": stat /no/such: no such file'),
    (["busybox", "/etc/passwd"], 126, 'exec: "/etc/passwd": permission denied'),
    (["busybox", "/etc"], 126, 'exec: "/etc": is a directory'),
    (["-w", "/etc/passwd", "busybox", "true"], 125, r'chdir to cwd \("/etc/passwd"\).*directory'),
    (["-u", "nobodyhere", "busybox", "true"], 125, "unable to find user nobodyhere: no matching"),
    (["-u", "root:nogrp", "busybox", "true"], 125, "unable to find group nogrp: no matching"),
    (["-p", "18080:80", "busybox"], 125, "Bind for 0.0.0.0:18080 failed: port is already alloc"),
    (["-p", "99999:80", "busybox"], 125, "invalid port range: 99999"),
    (["--network", "nosuch", "busybox"], 125, "network nosuch not found"),
    (["--network", "container:idle", "busybox"], 125, "cannot join network of a non running cont"),
    (["--pid", "container:nosuch", "busybox"], 125, "No such container: nosuch"),
    (["--volumes-from", "nosuch", "busybox"], 125, "No such container: nosuch"),
    (["-v", "/srv:/x:bogus", "busybox"], 125, "invalid mode: bogus"),
    (["-v", "/srv:x", "busybox"], 125, "'x' mount path must be absolute"),
    (["-v", "a/b:/x", "busybox"], 125, "invalid volume specification: 'a/b:/x'"),
    (["--mount", "type=bind,src=/no,dst=/x", "busybox"], 125, "source path does not exist: /no"),
    (["-m", "1k", "busybox"], 125, "Minimum memory limit allowed is 6MB"),
    (["-m", "abc", "busybox"], 125, 'invalid argument "abc" for "--memory" flag'),
    (["--cpus", "1000", "busybox"], 125, "Range of CPUs is from 0.01 to"),
    (["--cap-add", "BOGUS", "busybox"], 125, 'unknown capability: "CAP_BOGUS"'),
    (["--security-opt", "bogus", "busybox"], 125, 'invalid --security-opt.*"bogus"'),
    (["--runtime", "nosuch", "busybox"], 125, "unknown or invalid runtime name: nosuch"),
    (["--log-driver", "nosuch", "busybox"], 125, "no log driver named 'nosuch'"),
    (["--restart", "sometimes", "busybox"], 125, "unknown policy 'sometimes'"),
    (["--stop-signal", "BOGUS", "busybox"], 125, "Invalid signal: BOGUS"),
    (["--ulimit", "bogus=1", "busybox"], 125, "invalid ulimit type: bogus"),
    (["--platform", "linux/arm64", "busybox"], 125, "wanted linux/arm64, actual: linux/amd64"),
    (["--device", "/dev/nosuch", "busybox"], 125, '"/dev/nosuch": no such file or directory'),
    (["--userns", "bogus", "busybox"], 125, "invalid userns mode: bogus"),
    (["--nosuchflag", "busybox"], 125, "unknown flag: --nosuchflag"),
]

OTHER = [
    ("pull 127.0.0.1:1/x", "registry 127.0.0.1:1 does not answer: connection refused"),
    ("pull nosuch.invalid/x", "registry nosuch.invalid does not answer: .*name resolution"),
    ("push 127.0.0.1:1/x", "tag does not exist: 127.0.0.1:1/x:latest"),
    ("exec idle true", "is not running"),
    ("exec nosuch true", "No such container: nosuch"),
    ("rm taken", "You cannot remove a running container"),
    ("rmi busybox", "container .* is using its referenced image"),
    ("rmi nosuch", "No such image: nosuch:latest"),
    ("tag busybox Bad", "must be lowercase"),
    ("volume rm vol", "volume is in use"),
    ("volume create bad/name", "includes invalid characters for a local volume name"),
    ("volume create -d nosuch xx", 'plugin "nosuch" not found'),
    ("network rm bridge", "pre-defined network and cannot be removed"),
    ("network rm own", "network own id .* has active endpoints"),
    ("network create own", "network with name own already exists"),
    ("network create --subnet bogus x", "invalid subnet bogus"),
    ("network create -d overlay x", "network driver overlay is not supported"),
    ("network connect nosuch taken", "network nosuch not found"),
    ("kill idle", "cannot kill container: .* is not running"),
    ("kill -s BOGUS taken", "Invalid signal: BOGUS"),
    ("attach idle", "cannot attach to a stopped container, start it first"),
    ("logs nosuch", "No such container: nosuch"),
    ("pause idle", "is not running"),
    ("save nosuch", "No such image: nosuch:latest"),
    ("load -i /nosuch", "open /nosuch: No such file or directory"),
    ("ps --filter bogus=1", "invalid filter 'bogus'"),
    ("inspect nosuch", "No such object: nosuch"),
    ("build /nosuch", "/nosuch"),
    ("nosuch", "'nosuch' is not a boxship command"),
]


def check(done: Any, code: int, text: str) -> None:
    told = [line for line in done.stderr.splitlines() if not line.startswith("See '")]
    # What is pulled first is progress, not an error.
    told = [line for line in told if not re.match("Unable to find image|[a-z0-9.]+: Pulling", line)]
    assert len(told) == 1, done.stderr
    assert re.search(text, told[0]), told[0]
    assert done.returncode == code


@pytest.mark.parametrize(("words", "code", "text"), RUN, ids=lambda value: str(value)[:40])
def test_run(host: Any, words: list[str], code: int, text: str) -> None:
    done = host.inside(lambda: host.cli("run", *words))
    # As with Docker, what could be created stays, to be looked at.
    left = [one for one in host.containers() if one["Name"] not in ("/taken", "/idle")]
    for one in left:
        host.remove(one["Id"], v=1)
    check(done, code, text)
    assert all(one["State"]["Status"] == "created" and one["State"]["Error"] for one in left)


@pytest.mark.parametrize(("words", "text"), OTHER, ids=lambda value: str(value)[:40])
def test_other(host: Any, words: str, text: str) -> None:
    check(host.inside(lambda: host.cli(*words.split())), 1, text)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["taken", "nosuch"], 127, 'exec: "nosuch": executable file not found'),
        (["taken", "/etc/passwd"], 126, 'exec: "/etc/passwd": permission denied'),
        (["-w", "/nosuch", "taken", "true"], 127, r'chdir to cwd \("/nosuch"\)'),
        (["-u", "nobodyhere", "taken", "true"], 128, "unable to find user nobodyhere"),
    ],
    ids=str,
)
def test_exec(host: Any, words: list[str], code: int, text: str) -> None:
    check(host.cli("exec", *words), code, text)


@contextmanager
def listener(host: Any, port: int) -> Any:
    with host.inside(lambda: socket.create_server(("0.0.0.0", port))):  # noqa: S104
        yield


def test_a_port_that_a_stranger_has(host: Any, refused: Any) -> None:
    """The start is undone, and works once the port is free."""
    one = host.create(
        *("sleep", "1000"),
        ExposedPorts={"80/tcp": {}},
        host={
            "NetworkMode": "bridge",
            "PortBindings": {"80/tcp": [{"HostPort": "18097"}, {"HostPort": "18098"}]},
        },
    )
    before = host.census.take()
    with listener(host, 18098):
        with pytest.raises(refused, match=r"listen tcp4 0.0.0.0:18098.*already in use") as error:
            host.post(f"/containers/{one}/start")
        assert error.value.status in (409, 500)
        assert host.state(one)["Status"] == "created"
        host.until(lambda: host.census.take() == before, "nothing of the start is left")
        # The port that was free is not held.
        with listener(host, 18097):
            pass
    host.post(f"/containers/{one}/start")
    assert host.state(one)["Running"]
    host.remove(one)
