"""The keeper's side of the launcher: requests and replies in order, a new one when it dies."""

import errno
import os
import signal
import socket
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from boxship import log
from boxship.errors import BoxshipError, UnavailableError
from boxship.runtime import channel
from boxship.runtime.keeper import messages
from boxship.runtime.keeper.loop import READ, WRITE, Loop
from boxship.runtime.keeper.messages import Cloned, Failed, Spawn, SpawnExec

Answer = Callable[[Cloned | BoxshipError, list[int]], None]
"""Gets the result and its descriptors: pidfd and sync socket, none with an error."""


class LauncherProcess(NamedTuple):
    """A launcher that was started: its pid, a pidfd, and our end of its socket."""

    pid: int
    pidfd: int
    sock: socket.socket


class Killer(Protocol):
    """What of the kernel this needs."""

    def pidfd_send_signal(self, pidfd: int, signal: int, /) -> None: ...


class _Request(NamedTuple):
    body: bytes
    fds: tuple[int, ...]
    answer: Answer


class Forker:
    """Has processes cloned by the launcher, one at a time.

    Requests that a dying launcher had in hand fail with `UnavailableError`; those not sent yet go
    to its successor. A launcher that dies without having served anything is not replaced before
    the next request, so a broken installation does not make the keeper spin.
    """

    def __init__(
        self,
        loop: Loop,
        kernel: Killer,
        launch: Callable[[], LauncherProcess],
        settled: Callable[[], None],
    ) -> None:
        """Start nothing yet.

        `launch` starts a launcher; `settled` is called when no request is in one's hands any more.
        """
        self._loop = loop
        self._kernel = kernel
        self._launch = launch
        self._settled = settled
        self._launcher: LauncherProcess | None = None
        self._waiting: deque[_Request] = deque()
        self._sent: deque[Answer] = deque()
        self._served = False

    @property
    def idle(self) -> bool:
        return not self._sent and not self._waiting

    @property
    def pid(self) -> int:
        """The launcher's pid, 0 while there is none."""
        return self._launcher.pid if self._launcher is not None else 0

    def request(self, message: Spawn | SpawnExec, fds: tuple[int, ...], answer: Answer) -> None:
        """Have a process cloned; the descriptors in `fds` are closed once they are sent."""
        self._waiting.append(_Request(messages.encode(0, message), fds, answer))
        self.start()
        self._send()

    def start(self) -> None:
        """Have a launcher ready, so that the first request finds it warm."""
        if self._launcher is not None:
            return
        try:
            self._launcher = self._launch()
        except (OSError, BoxshipError) as e:
            self._refuse(UnavailableError(f"the launcher cannot be started: {e}"))
            return
        self._served = False
        self._launcher.sock.setblocking(False)
        self._loop.watch(self._launcher.sock.fileno(), READ, self._ready)
        # The socket alone does not tell: a child on its way to exec may hold a copy of its end.
        self._loop.watch(self._launcher.pidfd, READ, self._ended)

    def stop(self) -> None:
        """End the launcher; it has no state to save."""
        if self._launcher is not None:
            self._release(self._launcher)

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._send()
        if events & ~WRITE:
            self._receive()

    def _ended(self, _events: int) -> None:
        launcher = self._launcher
        while launcher is not None and self._launcher is launcher:
            if not self._receive():
                self._died(launcher)

    def _send(self) -> None:
        while self._waiting and self._launcher is not None:
            request = self._waiting[0]
            sock = self._launcher.sock
            try:
                channel.send(sock, request.body, request.fds)
            except BlockingIOError:
                self._loop.change(sock.fileno(), READ | WRITE)
                return
            except ConnectionError:
                # Its end is about to be reported; the request waits for the next one.
                return
            except OSError as e:
                self._waiting.popleft()
                channel.close_all(request.fds)
                request.answer(UnavailableError(f"the launcher cannot be reached: {e}"), [])
                continue
            self._waiting.popleft()
            channel.close_all(request.fds)
            self._sent.append(request.answer)
        if self._launcher is not None:
            self._loop.change(self._launcher.sock.fileno(), READ)

    def _receive(self) -> bool:
        """Handle one reply; False when there was none."""
        if self._launcher is None:
            return False
        try:
            received = channel.receive(self._launcher.sock)
        except BlockingIOError:
            return False
        except OSError as e:
            log.warn(f"keeper: the launcher's socket failed: {e}")
            received = None
        if received is None:
            self._died(self._launcher)
            return True
        self._served = True
        self._answer(*received)
        if self.idle:
            self._settled()
        return True

    def _answer(self, body: bytes, fds: list[int]) -> None:
        _, message = messages.decode(body)
        answer = self._sent.popleft()
        if isinstance(message, Cloned) and len(fds) == 2:
            answer(message, fds)
            return
        channel.close_all(fds)
        failed = (
            message if isinstance(message, Failed) else Failed("internal", str(message), "", "")
        )
        answer(messages.error_of(failed), [])

    def _died(self, launcher: LauncherProcess) -> None:
        log.warn(f"keeper: the launcher (pid {launcher.pid}) ended")
        self._release(launcher)
        unfinished, self._sent = self._sent, deque()
        error = UnavailableError(
            "the launcher ended while it made the process", hint="try again; a new one is started"
        )
        for answer in unfinished:
            answer(error, [])
        if not self._served and self._waiting:
            self._refuse(UnavailableError("the launcher ends as soon as it is started"))
        elif self._served or unfinished:
            self.start()
            self._send()
        if self.idle:
            self._settled()

    def _refuse(self, error: UnavailableError) -> None:
        refused, self._waiting = self._waiting, deque()
        for request in refused:
            channel.close_all(request.fds)
            request.answer(error, [])

    def _release(self, launcher: LauncherProcess) -> None:
        self._launcher = None
        self._loop.forget(launcher.sock.fileno())
        self._loop.forget(launcher.pidfd)
        launcher.sock.close()
        try:
            self._kernel.pidfd_send_signal(launcher.pidfd, signal.SIGKILL)
        except OSError as e:
            if e.errno != errno.ESRCH:
                raise
        os.waitid(os.P_PIDFD, launcher.pidfd, os.WEXITED)
        os.close(launcher.pidfd)
