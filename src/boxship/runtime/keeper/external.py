"""The keeper's side of external runtimes: a helper process for each container or exec it makes.

The helper (`boxship.runtime.external`) answers as the launcher does, and speaks for the new
process on its sync socket until the program runs. What the runtime leaves behind becomes the
keeper's child, because the keeper is a subreaper: so its end is known as everybody's is.

A helper outlives the keeper, and takes back what it made for a dead one. Until it is done, which
a locked file in the bundle tells, its container is not forgotten and so not made again.
"""

import fcntl
import os
import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from boxship import log
from boxship.errors import BoxshipError, UnavailableError
from boxship.runtime import channel
from boxship.runtime.keeper import messages
from boxship.runtime.keeper.forker import Answer, Killer, LauncherProcess
from boxship.runtime.keeper.loop import READ, Loop
from boxship.runtime.keeper.messages import Cloned, Failed, Spawn, SpawnExec

_LOCK = "lock"
_DELETE_SECONDS = 30.0
"""What a runtime that hangs in `delete` is given before it is killed."""

_HELPER_SECONDS = 30.0
_LOOK_SECONDS = 0.01
"""How long, and how often, a helper is waited for that nobody has a pidfd of."""


class Helpers(NamedTuple):
    """How processes are started.

    Attributes:
        make: a helper, from the container's id, the runtime's command line, and the locked file.
        delete: the runtime's own `delete`; gives pid and pidfd.
    """

    make: Callable[[list[str], int], LauncherProcess]
    delete: Callable[[tuple[str, ...], str], tuple[int, int]]


class External:
    """Has processes made and forgotten by external runtimes, any number at a time."""

    def __init__(
        self, loop: Loop, kernel: Killer, helpers: Helpers, settled: Callable[[], None]
    ) -> None:
        """Start nothing yet; `settled` is called whenever no helper is at work any more."""
        self._loop = loop
        self._kernel = kernel
        self._helpers = helpers
        self._settled = settled
        self._working = 0
        self.deleting = 0

    @property
    def idle(self) -> bool:
        """No unknown child may be one that a helper is about to tell of."""
        return not self._working

    def request(
        self,
        runtime: tuple[str, ...],
        container_id: str,
        message: Spawn | SpawnExec,
        fds: tuple[int, ...],
        answer: Answer,
    ) -> None:
        """Have a process made; the descriptors in `fds` are closed once they are sent."""
        try:
            lock = _lock(message.bundle)
            try:
                helper = self._helpers.make([container_id, *runtime], lock)
            finally:
                os.close(lock)
        except OSError as e:
            channel.close_all(fds)
            answer(UnavailableError(f"no process can be started for {runtime[0]}: {e}"), [])
            return
        os.close(helper.pidfd)
        self._working += 1

        def ready(_events: int) -> None:
            self._answered(helper, answer)

        self._loop.watch(helper.sock.fileno(), READ, ready)
        try:
            channel.send(helper.sock, messages.encode(0, message), fds)
        except OSError as e:
            # Its end follows on the socket.
            log.warn(f"keeper: the helper for {runtime[0]} cannot be reached: {e}")
        finally:
            channel.close_all(fds)

    def delete(
        self, runtime: tuple[str, ...], container_id: str, bundle: str, done: Callable[[], None]
    ) -> None:
        """Have the runtime forget a container, whatever it knows of it, when no helper is left."""
        self.deleting += 1
        self._look(runtime, container_id, bundle, done, time.monotonic() + _HELPER_SECONDS)

    def _look(
        self,
        runtime: tuple[str, ...],
        container_id: str,
        bundle: str,
        done: Callable[[], None],
        until: float,
    ) -> None:
        if not _is_locked(bundle):
            self._delete(runtime, container_id, done)
        elif time.monotonic() < until:
            self._loop.later(
                _LOOK_SECONDS, lambda: self._look(runtime, container_id, bundle, done, until)
            )
        else:
            log.warn(f"keeper: {runtime[0]} hangs while it makes container {container_id}")
            self._delete(runtime, container_id, done)

    def _delete(
        self, runtime: tuple[str, ...], container_id: str, done: Callable[[], None]
    ) -> None:
        try:
            _, pidfd = self._helpers.delete(runtime, container_id)
        except OSError as e:
            log.warn(f"keeper: {runtime[0]} cannot forget container {container_id}: {e}")
            self.deleting -= 1
            done()
            return
        patience = self._loop.later(_DELETE_SECONDS, lambda: self._kill(pidfd, container_id))

        def ended(_events: int) -> None:
            patience.cancel()
            self._loop.forget(pidfd)
            _reap(pidfd)
            os.close(pidfd)
            self.deleting -= 1
            done()

        self._loop.watch(pidfd, READ, ended)

    def _answered(self, helper: LauncherProcess, answer: Answer) -> None:
        try:
            received = channel.receive(helper.sock)
        except BlockingIOError:
            return
        except OSError:
            received = None
        self._loop.forget(helper.sock.fileno())
        helper.sock.close()
        result, fds = _result(received)
        answer(result, fds)
        self._working -= 1
        if self.idle:
            self._settled()

    def _kill(self, pidfd: int, container_id: str) -> None:
        log.warn(f"keeper: the runtime of container {container_id} hangs in delete: killed")
        self._kernel.pidfd_send_signal(pidfd, signal.SIGKILL)


def _result(
    received: tuple[bytes, list[int]] | None,
) -> tuple[Cloned | BoxshipError, list[int]]:
    if received is None:
        error = UnavailableError(
            "the helper of the external runtime ended while it made the process", hint="try again"
        )
        return error, []
    body, fds = received
    _, message = messages.decode(body)
    if isinstance(message, Cloned) and len(fds) == 2:
        return message, fds
    channel.close_all(fds)
    failed = message if isinstance(message, Failed) else Failed("internal", str(message), "", "")
    return messages.error_of(failed), []


def _lock(bundle: str) -> int:
    """The bundle's file, locked by all who hold this descriptor.

    Raises:
        OSError: the bundle is gone.
    """
    fd = os.open(f"{bundle}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_SH)
    return fd


def _is_locked(bundle: str) -> bool:
    try:
        fd = os.open(f"{bundle}/{_LOCK}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        # No helper has been at work, or all is swept up.
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _reap(pidfd: int) -> None:
    try:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    except ChildProcessError:
        # The keeper's own round has been faster.
        return
