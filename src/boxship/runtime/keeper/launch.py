"""Start Python processes that carry nothing along: the launcher, and the keeper itself."""

import os
import signal
import socket
import sys
from typing import NamedTuple

from boxship.kernel import abi, mounts, process
from boxship.kernel._libc import KernelError
from boxship.runtime.channel import PROTOCOL
from boxship.runtime.keeper.forker import LauncherProcess

# pathlib alone would cost the keeper half a megabyte.
_SOURCES = __file__.rpartition("/boxship/")[0]

INTERPRETER = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
"""The interpreter itself, not a virtual environment's link to it."""


def command(module: str, arguments: list[str]) -> list[str]:
    """An argument vector that runs `main` of a module with nothing but the standard library.

    `-I -S` leaves out environment, user directory and site packages, which halves the start and
    keeps whatever is installed there out of a privileged process.
    """
    code = f"import sys; sys.path.append({_SOURCES!r}); from {module} import main; main()"
    return [INTERPRETER, "-I", "-S", "-c", code, *arguments]


class Launching(NamedTuple):
    """What a launcher is started with.

    Attributes:
        limits: soft and hard RLIMIT_NOFILE that containers start from.
        oom_score: the oom_score_adj that containers start from.
        cache: directory for what a launcher computes once.
        program: Python file to run in place of our launcher, speaking its protocol; or empty.
    """

    limits: tuple[int, int]
    oom_score: str
    cache: str
    program: str


def start_launcher(launching: Launching) -> LauncherProcess:
    """Start a launcher.

    It runs from a read-only bind mount of the interpreter that is attached nowhere, so that a
    container that gets hold of its /proc/PID/exe cannot write the file (CVE-2019-5736).

    Raises:
        OSError: it cannot be started.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    executable, path = _read_only(INTERPRETER)
    argv = _launcher_command(launching)
    try:
        pid = os.posix_spawn(
            path,
            argv,
            {},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
            ],
            setsigmask=[],
            setsigdef=[signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE],
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        if executable >= 0:
            os.close(executable)
    return LauncherProcess(pid, process.pidfd_open(pid), ours)


_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def start_helper(launching: Launching, words: list[str], lock: int) -> LauncherProcess:
    """Start a process that makes one container, or one exec, with an external runtime.

    Args:
        launching: what containers start from.
        words: the container's id, then the runtime's command line.
        lock: descriptor that it holds as long as it lives.

    Raises:
        OSError: it cannot be started.
    """
    soft, hard = launching.limits
    arguments = [f"{soft}:{hard}", launching.oom_score, *words]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        try:
            pid = os.posix_spawn(
                INTERPRETER,
                command("boxship.runtime.external", arguments),
                _ENVIRONMENT,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    # Both numbers are the keeper's own, and so not these descriptors'.
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
                    (os.POSIX_SPAWN_DUP2, lock, 4),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE],
            )
        except OSError:
            ours.close()
            raise
    return LauncherProcess(pid, process.pidfd_open(pid), ours)


def start_delete(runtime: tuple[str, ...], container_id: str) -> tuple[int, int]:
    """Have an external runtime forget a container; the command's pid and a pidfd.

    Raises:
        OSError: it cannot be started.
    """
    pid = os.posix_spawn(
        runtime[0],
        [*runtime, "delete", "--force", container_id],
        _ENVIRONMENT,
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE],
    )
    return pid, process.pidfd_open(pid)


def _launcher_command(launching: Launching) -> list[str]:
    soft, hard = launching.limits
    arguments = [f"{soft}:{hard}", launching.oom_score, launching.cache, str(PROTOCOL)]
    argv = command("boxship.runtime.launcher", arguments)
    if launching.program:
        argv[4] = (
            f"import sys, runpy; sys.path.append({_SOURCES!r}); "
            f"runpy.run_path({launching.program!r}, run_name='__main__')"
        )
    return argv


def _read_only(path: str) -> tuple[int, str]:
    """A descriptor of a read-only mount of one file, and a path by which to execute it."""
    try:
        tree = mounts.open_tree(-100, path, abi.OPEN_TREE_CLONE)
    except KernelError:
        # Before kernel 5.2 or without the privilege: the launcher is still not dumpable.
        return -1, path
    try:
        mounts.mount_setattr(tree, set_=abi.MOUNT_ATTR_RDONLY)
    except KernelError:
        os.close(tree)
        return -1, path
    return tree, f"/proc/self/fd/{tree}"
