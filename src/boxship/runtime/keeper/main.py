"""The keeper's process: takes its listening socket from the daemon that starts it, and serves.

Descriptor 3 is the listening socket, 4 the locked file that says a keeper lives; both stay open
until the end. Arguments: the run-time directory,
the program to start as launcher (empty for ours), and the soft RLIMIT_NOFILE of containers.
"""

import os
import resource
import signal
import socket
import sys
import time

from boxship import log
from boxship.kernel import abi, process, tty
from boxship.runtime.cgroups import detect, open_cgroup
from boxship.runtime.keeper.external import Helpers
from boxship.runtime.keeper.launch import Launching, start_delete, start_helper, start_launcher
from boxship.runtime.keeper.records import Records
from boxship.runtime.keeper.service import Service

LISTENER = 3
LOCK = 4

_OOM_SCORE = "/proc/self/oom_score_adj"
_LOG_SIZE = 1 << 20
_PROTECTED = "-999"


class HostKernel:
    """The few system calls the keeper makes, without the rest of the kernel package."""

    __slots__ = ()

    pidfd_open = staticmethod(process.pidfd_open)
    pidfd_send_signal = staticmethod(process.pidfd_send_signal)
    pidfd_exit_status = staticmethod(process.pidfd_exit_status)
    set_terminal_size = staticmethod(tty.set_size)
    start_time = staticmethod(process.start_time)
    pidfd_pid = staticmethod(process.pidfd_pid)


def main() -> None:
    """Serve until told to shut down."""
    exec_root, program, soft_limit = sys.argv[1:4]
    # Hold no mount busy, and give log files the mode they are opened with.
    os.chdir("/")
    os.umask(0o022)
    process.set_name("boxship-keeper")
    log.bound(_LOG_SIZE)
    process.prctl(abi.PR_SET_CHILD_SUBREAPER, 1)
    for fd in (LISTENER, LOCK):
        os.set_inheritable(fd, False)
    launching = Launching(
        limits=(int(soft_limit), _raise_descriptor_limit()),
        oom_score=_protect_from_oom_killer(),
        cache=f"{exec_root}/keeper/seccomp",
        program=program,
    )
    hierarchies = detect()
    service = Service(
        HostKernel(),
        Records(f"{exec_root}/keeper"),
        cgroup=lambda path: open_cgroup(hierarchies, path),
        launch=lambda: start_launcher(launching),
        helpers=Helpers(lambda words, lock: start_helper(launching, words, lock), start_delete),
        clock=time.time_ns,
    )
    service.listen(socket.socket(fileno=LISTENER))
    _watch_signals(service)
    log.info("keeper: serving")
    service.run()
    # While the lock is still held, or it might be the next keeper's.
    os.unlink(f"{exec_root}/keeper.sock")  # noqa: PTH108 - no pathlib here
    log.info("keeper: ended")


def _watch_signals(service: Service) -> None:
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _noted)
    service.watch_signals(reader)


def _noted(_number: int, _frame: object) -> None:
    """The number is on its way through the wake-up pipe."""


def _raise_descriptor_limit() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _protect_from_oom_killer() -> str:
    """A host that runs out of memory must not lose the one process all containers hang on."""
    try:
        fd = os.open(_OOM_SCORE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return "0"
    try:
        before = os.read(fd, 16).decode().strip()
        os.write(fd, _PROTECTED.encode())
    except OSError as e:
        log.info(f"keeper: not protected from the OOM killer: {e.strerror}")
        return "0"
    finally:
        os.close(fd)
    return before
