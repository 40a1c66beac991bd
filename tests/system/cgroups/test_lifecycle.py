"""Both versions on the real kernel: whatever hierarchies this host mounts."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from boxship.errors import ConflictError, InvalidArgumentError, UnsupportedError
from boxship.runtime.cgroups import Hierarchies, detect, open_cgroup
from boxship.runtime.cgroups.api import Cgroup

pytestmark = pytest.mark.root


def _v1() -> Hierarchies:
    found = detect()
    return Hierarchies(found.v1, "", ())


def _v2() -> Hierarchies:
    found = detect()
    return Hierarchies({}, found.unified, found.controllers)


@pytest.fixture(
    params=[
        pytest.param(_v1, marks=pytest.mark.cgroup1, id="v1"),
        pytest.param(_v2, marks=pytest.mark.cgroup2, id="v2"),
    ]
)
def group(request: pytest.FixtureRequest) -> Iterator[Cgroup]:
    hierarchies = request.param()
    parent = f"/boxship-test-{os.getpid()}"
    made = open_cgroup(hierarchies, f"{parent}/one/two")
    made.create()
    yield made
    made.kill()
    open_cgroup(hierarchies, parent).remove()


@pytest.fixture
def child() -> Iterator[Callable[[Cgroup], int]]:
    """Starts processes that enter a group themselves and then wait to be killed."""
    pids: list[int] = []

    def start(group: Cgroup) -> int:
        ready, report = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                group.enter()
                os.write(report, b"!")
                signal.pause()
            finally:
                os._exit(1)
        os.close(report)
        pids.append(pid)
        assert os.read(ready, 1) == b"!"
        os.close(ready)
        return pid

    yield start
    for pid in pids:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _ended_by(pid: int) -> int:
    status = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert status is not None
    return status.si_status


def test_create_twice_and_remove_twice(group: Cgroup) -> None:
    group.create()
    assert group.exists()
    group.remove()
    group.remove()
    assert not group.exists()
    assert group.processes() == []


def test_a_process_enters_and_is_listed(group: Cgroup, child: Callable[[Cgroup], int]) -> None:
    pid = child(group)
    assert group.processes() == [pid]
    memberships = Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines()
    inside = [line for line in memberships if line.endswith(group.path)]
    assert len(inside) == len(group.mounts())


def test_a_process_is_moved(group: Cgroup, child: Callable[[Cgroup], int]) -> None:
    pid = child(group)
    other = open_cgroup(_v1() if group.version == 1 else _v2(), group.path + "-other")
    other.create()
    other.add(pid)
    assert other.processes() == [pid]
    assert group.processes() == []
    other.kill()
    _ended_by(pid)
    other.remove()


def test_freeze_and_thaw(group: Cgroup, child: Callable[[Cgroup], int]) -> None:
    child(group)
    assert not group.frozen()
    group.freeze()
    assert group.frozen()
    group.thaw()
    assert not group.frozen()


# Executes a program as soon as its first line of input comes, while a second thread sleeps.
_EXECUTES = """
import os, sys, threading, time
other = threading.Thread(target=time.sleep, args=(1000,), daemon=True)
other.start()
print(other.native_id, flush=True)
sys.stdin.readline()
os.execv("/bin/sleep", ["sleep", "1000"])
"""


@pytest.mark.cgroup1
@pytest.mark.usefixtures("clean")
def test_a_process_that_executes_a_program_is_frozen_too() -> None:
    """Its other thread is frozen first, and execve(2) waits for that one's end."""
    group = _limited("freezer")
    with subprocess.Popen(
        [sys.executable, "-c", _EXECUTES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            freezer = Path(detect().v1["freezer"] + group.path)
            (freezer / "tasks").write_text(process.stdout.readline())
            group.freeze()
            process.stdin.write("\n")
            process.stdin.flush()
            while _state(process.pid) != "D":
                continue
            (freezer / "tasks").write_text(str(process.pid))
            group.freeze()
            assert Path(f"/proc/{process.pid}/comm").read_text(encoding="ascii") == "sleep\n"
            assert group.processes() == [process.pid]
        finally:
            process.kill()
            group.thaw()


def _state(pid: int) -> str:
    """proc(5), field 3."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


@pytest.mark.parametrize("frozen", [False, True])
def test_kill(group: Cgroup, child: Callable[[Cgroup], int], frozen: bool) -> None:
    pids = [child(group), child(group)]
    if frozen:
        group.freeze()
    group.kill()
    assert [_ended_by(pid) for pid in pids] == [signal.SIGKILL, signal.SIGKILL]
    group.remove()
    assert not group.exists()


def test_what_is_frozen_in_a_group_below_ends_too(
    group: Cgroup, child: Callable[[Cgroup], int]
) -> None:
    hierarchies = _v1() if group.version == 1 else _v2()
    below = open_cgroup(hierarchies, f"{group.path}/below/this")
    below.create()
    pid = child(below)
    pidfd = os.pidfd_open(pid)
    below.freeze()
    try:
        group.kill()
        ended, _, _ = select.select([pidfd], [], [], 10)
    finally:
        below.thaw()
        os.close(pidfd)
    assert ended
    group.remove()
    assert not group.exists()


def test_a_group_in_use_is_not_removed(group: Cgroup, child: Callable[[Cgroup], int]) -> None:
    pid = child(group)
    with pytest.raises(ConflictError, match=f"processes in it: {pid}"):
        group.remove()
    assert group.processes() == [pid]


def test_device_filter(group: Cgroup) -> None:
    group.apply({"devices": [{"allow": False, "access": "rwm"}]})
    assert _open_inside(group, "/dev/null") == 0
    assert _open_inside(group, "/dev/kmsg") == 1
    kmsg = {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"}
    group.apply({"devices": [{"allow": False, "access": "rwm"}, kmsg]})
    assert _open_inside(group, "/dev/kmsg") == 0
    assert _open_inside(group, "/dev/kmsg", os.O_RDWR) == 1
    group.apply({"devices": [{"allow": True, "access": "rwm"}]})
    assert _open_inside(group, "/dev/kmsg", os.O_RDWR) == 0


def _open_inside(group: Cgroup, path: str, flags: int = os.O_RDONLY) -> int:
    """0 when a process of the group can open the device, 1 when it may not."""
    pid = os.fork()
    if pid == 0:
        group.enter()
        try:
            os.open(path, flags)
        except PermissionError:
            os._exit(1)
        except OSError:
            os._exit(2)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _limited(controller: str) -> Cgroup:
    if controller not in detect().v1:
        pytest.skip(f"needs the {controller} v1 hierarchy")
    made = open_cgroup(_v1(), f"/boxship-test-{os.getpid()}/limits")
    made.create()
    return made


@pytest.fixture
def clean() -> Iterator[None]:
    yield
    open_cgroup(_v1(), f"/boxship-test-{os.getpid()}").remove()


@pytest.mark.cgroup1
@pytest.mark.usefixtures("clean")
def test_memory_limit_up_and_down() -> None:
    group = _limited("memory")
    for size in (64 << 20, 256 << 20, 16 << 20):
        group.apply({"memory": {"limit": size, "swap": 2 * size}})
        assert group.stats().memory_limit == size
    with pytest.raises(InvalidArgumentError, match=r"memory\.limit_in_bytes"):
        group.apply({"memory": {"limit": 1 << 30}})


@pytest.mark.cgroup1
@pytest.mark.usefixtures("clean")
def test_pids_limit_holds(child: Callable[[Cgroup], int]) -> None:
    group = _limited("pids")
    group.apply({"pids": {"limit": 1}})
    child(group)
    assert group.stats().pids_current == 1
    assert group.stats().pids_limit == 1
    pid = os.fork()
    if pid == 0:
        # The first fork is let in, as moving is not limited; what it forks is.
        group.enter()
        try:
            os.fork()
        except BlockingIOError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    group.kill()


@pytest.mark.cgroup1
@pytest.mark.usefixtures("clean")
def test_out_of_memory_is_counted() -> None:
    group = _limited("memory")
    group.apply({"memory": {"limit": 8 << 20, "swap": 8 << 20}})
    pid = os.fork()
    if pid == 0:
        group.enter()
        ballast = bytearray(64 << 20)
        for position in range(0, len(ballast), 4096):
            ballast[position] = 1
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert group.oom_kills() == 1


@pytest.mark.cgroup2
def test_a_hierarchy_without_controllers_refuses_limits() -> None:
    hierarchies = _v2()
    if "memory" in hierarchies.controllers:
        pytest.skip("needs a v2 hierarchy without the memory controller")
    group = open_cgroup(hierarchies, f"/boxship-test-{os.getpid()}")
    group.create()
    try:
        with pytest.raises(UnsupportedError, match="the memory controller is not available"):
            group.apply({"memory": {"limit": 1 << 20}})
    finally:
        group.remove()


@pytest.mark.cgroup2
def test_a_process_is_born_in_a_group() -> None:
    group = open_cgroup(_v2(), f"/boxship-test-{os.getpid()}")
    group.create()
    descriptor = group.open_directory()
    try:
        assert os.fstat(descriptor).st_ino
    finally:
        os.close(descriptor)
        group.remove()
