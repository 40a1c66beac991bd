import os
import signal
import sys

import pytest

from boxship.runtime.keeper import exits


class Kernel:
    """Answers PIDFD_GET_INFO as it is told."""

    def __init__(self, *statuses):
        self.statuses = list(statuses)

    def pidfd_exit_status(self, _pidfd):
        return self.statuses.pop(0) if self.statuses else None


def child(*argv: str) -> tuple[int, int]:
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", *argv], {})
    return pid, os.pidfd_open(pid)


def wait(pidfd: int) -> None:
    os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)


@pytest.mark.parametrize(
    ("script", "code"), [("exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_our_own_child(script, code):
    pid, pidfd = child(script)
    wait(pidfd)
    assert exits.collect(Kernel(), pidfd, pid, last=False) == code
    os.close(pidfd)


def test_a_child_that_runs_has_no_code():
    pid, pidfd = child("sleep 60")
    assert exits.collect(Kernel(), pidfd, pid, last=False) is None
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(pidfd)


def test_one_that_somebody_else_reaped_is_asked_of_the_kernel():
    pid, pidfd = child("exit 7")
    os.waitpid(pid, 0)
    assert exits.collect(Kernel(7 << 8), pidfd, pid, last=False) == 7
    assert exits.collect(Kernel(None, 15), pidfd, pid, last=True) == 143
    assert exits.collect(Kernel(), pidfd, pid, last=False) is None
    assert exits.collect(Kernel(), pidfd, pid, last=True) == exits.UNKNOWN
    os.close(pidfd)


def test_a_zombie_of_somebody_else_shows_its_code():
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    # The middle process leaves its child as a zombie for as long as it lives.
    code = (
        "import os, signal; pid = os.posix_spawn('/bin/sh', ['sh', '-c', 'exit 9'], {}); "
        f"os.write({writer}, str(pid).encode()); signal.pause()"
    )
    middle = os.posix_spawn(sys.executable, ["python", "-I", "-S", "-c", code], {})
    pid = int(os.read(reader, 32))
    pidfd = os.pidfd_open(pid)
    while b") Z" not in _stat(pid):
        os.sched_yield()
    assert exits.collect(Kernel(), pidfd, pid, last=False) == 9
    os.kill(middle, signal.SIGKILL)
    os.waitpid(middle, 0)
    for fd in (reader, writer, pidfd):
        os.close(fd)


def _stat(pid: int) -> bytes:
    fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)
