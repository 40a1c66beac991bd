"""How a process ended, also when somebody else reaped it."""

import os
from typing import Protocol

from boxship import log

UNKNOWN = 255
"""The code of a process whose end nobody saw: before kernel 6.15, when init reaped it."""


class ExitSource(Protocol):
    """What of the kernel this needs."""

    def pidfd_exit_status(self, pidfd: int, /) -> int | None: ...


def collect(kernel: ExitSource, pidfd: int, pid: int, *, last: bool) -> int | None:
    """The exit code (128 + n for signal n), or None while it cannot be known yet.

    Our own children are reaped. Those of a dead keeper became children of init: what is left of
    them tells the code, before init looks at it or, by the pidfd, afterwards.

    With `last` the kernel has let go of the process, so an answer must be found now.
    """
    try:
        info = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return _of_somebody_elses(kernel, pidfd, pid, last=last)
    if info is None:
        return None
    return info.si_status if info.si_code == os.CLD_EXITED else 128 + info.si_status


def _of_somebody_elses(kernel: ExitSource, pidfd: int, pid: int, *, last: bool) -> int | None:
    status = kernel.pidfd_exit_status(pidfd)
    if status is None:
        status = _zombie_status(pid)
    if status is None and last:
        # It may have been reaped between the two looks.
        status = kernel.pidfd_exit_status(pidfd)
        if status is None:
            log.warn(f"process {pid} of a former keeper ended with an unknown code")
            return UNKNOWN
    return None if status is None else code_of(status)


def code_of(status: int) -> int:
    """The exit code of a wait status."""
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _zombie_status(pid: int) -> int | None:
    """Field 52 of /proc/PID/stat, which is the wait status once the process is a zombie."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fields = os.read(descriptor, 4096).rpartition(b")")[2].split()
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return int(fields[49]) if fields[0] == b"Z" else None
