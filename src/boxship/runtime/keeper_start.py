"""Find the keeper of a run-time directory, or start one, detached from whoever starts it."""

import errno
import fcntl
import functools
import os
import resource
import signal
import socket
from pathlib import Path
from typing import NamedTuple

from boxship.errors import UnavailableError
from boxship.kernel import process
from boxship.runtime.keeper.launch import INTERPRETER, command

SOCKET = "keeper.sock"

_BACKLOG = 16
_FIRST_FREE = 10


@functools.cache
def own_descriptor_limit() -> int:
    """The soft RLIMIT_NOFILE this process came with; it is raised to the hard one at this call.

    Four descriptors of each container are kept here, and one that does not fit costs the
    connection to the keeper.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


class Connected(NamedTuple):
    """A connection to a keeper; with the pidfd of one that was started, -1 of one that was there.

    A keeper that was started answers as soon as it is up: its socket exists before it does.
    """

    sock: socket.socket
    pidfd: int


def connect_keeper(exec_root: Path, launcher: str = "") -> Connected | None:
    """Connect, starting a keeper when none answers.

    Args:
        exec_root: made if it is not there.
        launcher: Python file that a keeper started here runs as its launcher; empty for ours.

    Returns:
        None when a keeper holds the lock and does not answer: it may be about to end, or about to
        listen; try again.

    Raises:
        UnavailableError: it cannot be started; the reason is named.
    """
    own_descriptor_limit()
    path = exec_root / SOCKET
    sock = _connect(path)
    if sock is not None:
        return Connected(sock, -1)
    try:
        exec_root.mkdir(mode=0o711, parents=True, exist_ok=True)
        lock = _lock(exec_root / "keeper.lock")
        if lock < 0:
            return None
        try:
            return _start(exec_root, lock, launcher)
        finally:
            os.close(lock)
    except OSError as e:
        raise UnavailableError(
            f"the keeper cannot be started in {exec_root}: {e}",
            hint="is the directory writable and on a file system with room?",
        ) from e


def _connect(path: Path) -> socket.socket | None:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sock.connect(str(path))
    except OSError as e:
        sock.close()
        if e.errno in (errno.ENOENT, errno.ECONNREFUSED):
            return None
        raise UnavailableError(f"the keeper's socket {path} cannot be reached: {e}") from e
    return sock


def _lock(path: Path) -> int:
    """The locked file, which the keeper inherits with the lock; -1 while another holds it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return -1
    return fd


def _start(exec_root: Path, lock: int, launcher: str) -> Connected:
    path = exec_root / SOCKET
    limit = own_descriptor_limit()
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
        sock = _connect(path)
        if sock is None:
            raise UnavailableError(f"{path} was replaced while the keeper was started")
        try:
            return Connected(
                sock, _spawn([str(exec_root), launcher, str(limit)], listener.fileno(), lock)
            )
        except OSError:
            sock.close()
            raise


def _spawn(arguments: list[str], listener: int, lock: int) -> int:
    # Out of the way of the numbers the keeper expects, or one dup2 would close the other's source.
    sources = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE) for fd in (listener, lock)]
    messages = f"{arguments[0]}/keeper.log"
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        pid = os.posix_spawn(
            INTERPRETER,
            command("boxship.runtime.keeper.main", arguments),
            {},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, messages, append, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                (os.POSIX_SPAWN_DUP2, sources[0], 3),
                (os.POSIX_SPAWN_DUP2, sources[1], 4),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD],
        )
    finally:
        for fd in sources:
            os.close(fd)
    return process.pidfd_open(pid)
