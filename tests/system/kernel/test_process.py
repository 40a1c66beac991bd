"""Processes: clone is tried in a process of its own, which has one thread."""

import os
import signal
import subprocess
import sys

import pytest

from boxship.errors import InternalError
from boxship.kernel import KernelError, process

CLONE = """
import os
from boxship.kernel import process
pid, pidfd = process.clone(0, exit_signal=17)
if pid == 0:
    os._exit(7)
assert os.waitid(os.P_PIDFD, pidfd, os.WEXITED).si_status == 7
assert process.pidfd_pid(pidfd) == -1
print(process.pidfd_exit_status(pidfd))
"""
# prctl(PR_SET_SECCOMP) with a filter that answers clone3 with ENOSYS, as container engines do.
HIDDEN = """
import struct
from boxship.kernel import process, seccomp
number, arch = 435, 0xC000003E
program = b"".join(struct.pack("HBBI", *line) for line in (
    (0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | 38), (0x06, 0, 0, 0x7FFF0000)
))
process.prctl(38, 1)
seccomp.install(program)
"""


def python(code):
    return subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=False)


def test_a_clone_and_its_descriptor():
    done = python(CLONE)
    # Kernel 6.15 still knows the status of a process that was reaped.
    assert done.stdout.strip() in (str(7 << 8), "None"), done.stderr


def test_a_clone_where_clone3_is_hidden():
    done = python(HIDDEN + CLONE)
    assert done.returncode == 0, done.stderr


def test_a_start_time_names_a_process():
    with subprocess.Popen(("sleep", "100")) as child:
        started = process.start_time(child.pid)
        assert started >= process.start_time(os.getpid())
        pidfd = process.pidfd_open(child.pid)
        process.pidfd_send_signal(pidfd, signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
        with pytest.raises(ProcessLookupError):
            os.kill(child.pid, 0)
        with pytest.raises(KernelError, match="pidfd_send_signal"):
            process.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
        with pytest.raises(KernelError, match=f"read /proc/{child.pid}/stat"):
            process.start_time(child.pid)


def test_run_gives_output_and_drops_the_locale(monkeypatch):
    monkeypatch.setenv("LC_ALL", "xx_YY")
    monkeypatch.setenv("KEPT", "1")
    told = []
    script = 'cat; echo "$LC_ALL$KEPT"; echo warned >&2'
    done = process.run(["sh", "-c", script], stdin=b"in\n", trace=told.append)
    assert (done.stdout, done.stderr) == (b"in\n1\n", b"warned\n")
    assert told == [f"run: sh -c {script}"]


def test_run_names_what_failed_and_why():
    with pytest.raises(InternalError, match=r"^sh failed with status 3: second$"):
        process.run(["sh", "-c", "echo first >&2; echo second >&2; exit 3"])
    with pytest.raises(InternalError, match=r"cannot run /no/such: No such file") as failure:
        process.run(["/no/such"])
    assert failure.value.hint == "install /no/such or check PATH"
