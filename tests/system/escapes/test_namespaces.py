"""Ways back into the host's namespaces, and what is shared where one is shared on purpose."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.escapes.conftest import USER_NAMESPACES, Target

pytestmark = pytest.mark.root

# Whoever helps from outside: any user of the host, who passes descriptors of his namespaces.
RECEIVE = """
import array, socket
link = socket.socket(socket.AF_UNIX)
link.connect("/passed/socket")
_, parts, _, _ = link.recvmsg(1, socket.CMSG_SPACE(64))
passed = array.array("i")
passed.frombytes(parts[0][2])
for descriptor in passed:
    what = os.readlink(f"/proc/self/fd/{descriptor}").partition(":")[0]
    print(what, call(308, descriptor, 0))
"""
SHM = "/dev/shm"  # noqa: S108 - the directory itself
KINDS = ("mnt", "pid", "net", "ipc", "uts", "cgroup", "user")


@contextmanager
def passing(directory: Path) -> Iterator[None]:
    """Pass this process's namespaces to who connects to a socket in the directory."""
    directory.chmod(0o777)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "socket"))
        (directory / "socket").chmod(0o777)
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            held = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in KINDS]
            socket.send_fds(connection, [b"x"], held)
            for descriptor in held:
                os.close(descriptor)
            connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("userns", USER_NAMESPACES)
@pytest.mark.parametrize("filtered", [True, False])
def test_passed_namespaces_cannot_be_entered(
    target: Target, tmp_path: Path, userns: str, filtered: bool
):
    options = () if filtered else ("--security-opt", "seccomp=unconfined")
    with passing(tmp_path):
        result = target.python(RECEIVE, "-v", f"{tmp_path}:/passed", *options, userns=userns)
    answers = dict(line.split() for line in result.out.splitlines())
    assert set(answers) == set(KINDS), result
    # It is in the host's user namespace already, where it shares it: EINVAL.
    usual = "EINVAL" if userns == "host" and not filtered else "EPERM"
    assert answers.pop("user") == usual
    assert set(answers.values()) == {"EPERM"}


def test_passed_namespaces_are_entered_by_the_privileged(target: Target, tmp_path: Path):
    with passing(tmp_path):
        result = target.python(RECEIVE, "-v", f"{tmp_path}:/passed", "--privileged")
    assert "net done" in result.out
    assert "uts done" in result.out


def test_a_descriptor_of_a_host_directory_is_what_a_volume_is(target: Target, tmp_path: Path):
    # Passed by somebody outside who may open it. It leads where he may go, and no further for it.
    (tmp_path / "below").mkdir()
    code = RECEIVE.partition("for descriptor")[0] + (
        "for descriptor in passed[:1]:\n"
        "    print(attempt(os.open, '../../../../boot', os.O_RDONLY, 0))\n"
    )
    with passing(tmp_path):
        result = target.python(code, "-v", f"{tmp_path}:/passed")
    assert result.out == "ENOENT\n", result


ABSTRACT = "cat /proc/net/unix"


def _abstract(text: str) -> set[str]:
    names = {line.split()[-1] for line in text.splitlines()[1:] if len(line.split()) > 7}
    return {name for name in names if name.startswith("@")}


def test_no_engine_socket_is_abstract(target: Target):
    # CVE-2020-15257: containerd-shim's were, and `--network host` reached them.
    container = target.start("--network", "host", "probe", "sleep", "100")
    assert _abstract(target.boxship("exec", container, "sh", "-c", ABSTRACT).out) == set()

    def listening() -> socket.socket:
        one = socket.socket(socket.AF_UNIX)
        one.bind("\0containerd-shim/escape")
        return one

    with target.host.inside(listening):
        seen = _abstract(target.boxship("exec", container, "sh", "-c", ABSTRACT).out)
        assert seen == {"@containerd-shim/escape"}
    target.host.remove(container)


ENGINE = """
import re
found = 0
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        words = open(f"/proc/{pid}/cmdline").read()
    except OSError:
        continue
    if not re.search("[b]oxship[.](daemon|runtime[.]keeper)", words) or ROOT not in words:
        continue
    found += 1
    for what in ("root", "cwd", "exe", "fd/0", "ns/mnt"):
        print(what, attempt(os.readlink, f"/proc/{pid}/{what}"))
    for what in ("environ", "mem", "auxv"):
        print(what, attempt(open, f"/proc/{pid}/{what}"))
    print("ptrace", call(101, 0x4206, int(pid), 0, 0))
    print("pidfd_getfd", call(438, os.pidfd_open(int(pid)), 0, 0))
print("found", found)
"""


def _look(target: Target, *options: str) -> set[tuple[str, str]]:
    code = ENGINE.replace("ROOT", repr(str(target.host.exec)[:-1]) + " + 'c'")
    result = target.python(code, "--pid", "host", *options)
    assert result.code == 0, result.err
    assert "found 2" in result.out, result.out
    return {(what, answer) for what, answer in map(str.split, result.out.splitlines())}


@pytest.mark.parametrize("options", [(), ("--cap-drop", "ALL"), ("--network", "host")])
def test_the_engine_is_not_looked_into_by_who_sees_it(target: Target, options: tuple[str, ...]):
    # Root in such a container is the host's by id, but less capable: ptrace(2) says no.
    answers = {answer for what, answer in _look(target, *options) if what != "found"}
    assert answers <= {"EPERM", "EACCES"}


def test_the_engine_is_looked_into_by_the_privileged(target: Target):
    seen = _look(target, "--privileged")
    assert {("environ", "done"), ("root", "done"), ("mem", "done")} <= seen


def test_shared_memory_is_shared_with_the_named_only(target: Target):
    owner = target.start("--ipc", "shareable", "probe", "sleep", "100")
    target.boxship("exec", owner, "sh", "-c", f"echo told > {SHM}/x")
    assert target.run("probe", "ls", SHM).out == ""
    script = f"cat {SHM}/x; echo back > {SHM}/y; stat -c %u {SHM}/x"
    for userns in USER_NAMESPACES:
        shared = target.run(
            *("--ipc", f"container:{owner}"), "probe", "sh", "-c", script, userns=userns
        )
        assert shared.out == "told\n0\n", shared
        assert target.boxship("exec", owner, "cat", f"{SHM}/y").out == "back\n"
    target.host.remove(owner)


def test_shared_memory_is_not_led_elsewhere(target: Target):
    # An owner with the right to mount puts a link there: to what would be masked, or the host's.
    for place in ("/proc", "/proc/1/root", "/../../boot"):
        script = f"umount {SHM}; rm -r {SHM}; ln -s {place} {SHM}; echo led; sleep 100"
        options = ("--ipc", "shareable", "--privileged")
        owner = target.start(*options, "probe", "sh", "-c", script)
        target.host.until_output(owner, "led")
        joined = target.run("--ipc", f"container:{owner}", "probe", "ls", f"{SHM}/")
        assert joined.code == 125, joined
        assert "it is not a directory" in joined.err
        target.host.remove(owner)


def test_the_hosts_shared_memory_is_shown_on_request_only(target: Target):
    name = f"boxship-escape-{os.getpid()}"
    place = Path(SHM) / name
    place.write_text("the host's")
    try:
        for userns in USER_NAMESPACES:
            assert name not in target.run("probe", "ls", SHM, userns=userns).out
        shown = target.run("--ipc", "host", "probe", "ls", SHM)
        assert name in shown.out, shown
    finally:
        place.unlink()
