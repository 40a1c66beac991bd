"""`--init`: a first process that starts the program, passes signals on and reaps orphans.

The forked interpreter itself does it: it is there already, it cannot be written to (it runs from a
read-only mount), and nothing of the image is executed.
"""

import _signal  # type: ignore[import-not-found]  # the signal module is slow to import
import errno
import os

from boxship.kernel import KernelError
from boxship.runtime import program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from boxship.kernel.api import Kernel
    from boxship.runtime.steps import Context
    from boxship.runtime.sync import Channel

_SIGCHLD = int(_signal.SIGCHLD)
# About a fault of the process itself, or not catchable: not to be passed on.
_OWN = frozenset(
    (
        _signal.SIGFPE,
        _signal.SIGILL,
        _signal.SIGSEGV,
        _signal.SIGBUS,
        _signal.SIGABRT,
        _signal.SIGTRAP,
        _signal.SIGSYS,
        _signal.SIGTTIN,
        _signal.SIGTTOU,
    )
)
_TO_ALL = _signal.valid_signals() - _OWN


def run(
    kernel: "Kernel", context: "Context", arguments: "list[str]", channel: "Channel"
) -> "NoReturn":
    """Start the program as a child and stay its parent; ends with its exit code.

    Raises:
        ProgramError: in the child; reported by the caller, which ends the child.
    """
    _signal.pthread_sigmask(_signal.SIG_SETMASK, _TO_ALL)
    pid, pidfd = kernel.clone(0, exit_signal=_SIGCHLD)
    if pid == 0:
        _take_foreground()
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        program.become(context, arguments)
    os.close(pidfd)
    # The end of file that says the program runs must come from the child alone.
    channel.close()
    kernel.set_name("boxship-init")
    os.chdir("/")
    _close_all(kernel)
    while True:
        number = int(_signal.sigwait(_TO_ALL))
        if number == _SIGCHLD:
            _reap(pid)
        else:
            _forward(pid, number)


def _take_foreground() -> None:
    os.setpgid(0, 0)
    try:
        # SIGTTOU is not blocked but this call by a background group would stop it.
        _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTTOU,))
        os.tcsetpgrp(0, os.getpgrp())
    except OSError as error:
        if error.errno not in (errno.ENOTTY, errno.ENXIO, errno.EBADF, errno.EPERM):
            raise


def _close_all(kernel: "Kernel") -> None:
    # Open pipes would keep readers of the program's output waiting after its end.
    null = os.open("/dev/null", os.O_RDWR) if os.access("/dev/null", os.F_OK) else -1
    for number in range(3):
        if null >= 0:
            os.dup2(null, number)
        else:
            os.close(number)
    try:
        kernel.close_range(3, 0xFFFFFFFF)
    except KernelError:
        # The program's filter is in force here too.
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))


def _forward(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _reap(pid: int) -> None:
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if ended == 0:
            return
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
