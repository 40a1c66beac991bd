"""The keeper put together: its parts, its sockets, its signals."""

import gc
import os
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from boxship import log
from boxship.__version__ import __version__
from boxship.errors import ConflictError, UnsupportedError
from boxship.runtime.channel import PROTOCOL, close_all
from boxship.runtime.keeper import messages
from boxship.runtime.keeper.control import Control
from boxship.runtime.keeper.creation import Parents
from boxship.runtime.keeper.external import External, Helpers
from boxship.runtime.keeper.forker import Forker, LauncherProcess
from boxship.runtime.keeper.life import Life
from boxship.runtime.keeper.link import Handler, Link, Reply
from boxship.runtime.keeper.loop import READ, Loop
from boxship.runtime.keeper.process import Context, KeeperKernel, Process
from boxship.runtime.keeper.reaper import reap_strangers
from boxship.runtime.keeper.records import Records
from boxship.runtime.keeper.recovery import Recovery
from boxship.runtime.keeper.table import Table

if TYPE_CHECKING:
    from boxship.runtime.cgroups import Cgroup


class Service:
    """One keeper."""

    def __init__(
        self,
        kernel: KeeperKernel,
        records: Records,
        *,
        cgroup: "Callable[[str], Cgroup]",
        launch: Callable[[], LauncherProcess],
        helpers: Helpers,
        clock: Callable[[], int],
    ) -> None:
        self._loop = Loop()
        self._table = Table(records, cgroup)
        self._listener: socket.socket | None = None
        context = Context(self._loop, kernel, self._table, clock, records.directory)
        self._forker = Forker(self._loop, kernel, launch, self._reap)
        self._external = External(self._loop, kernel, helpers, self._reap)
        self._handlers = self._wire(context)

    def listen(self, sock: socket.socket) -> None:
        """Serve daemons that connect to a listening socket, the latest one only."""
        sock.setblocking(False)
        self._listener = sock
        self._loop.watch(sock.fileno(), READ, self._accept)

    def watch_signals(self, fd: int) -> None:
        """Take signal numbers, one a byte, from a descriptor."""
        self._loop.watch(fd, READ, lambda _events: self._signalled(os.read(fd, 512)))

    def run(self) -> None:
        """Serve until told to shut down."""
        self._forker.start()
        # Modules and code live as long as the process: the collector need not look at them.
        gc.collect()
        gc.freeze()
        self._loop.run()
        # The daemon's link stays open to the last: its end tells that everything is done.
        self._forker.stop()

    def _wire(self, context: Context) -> dict[type[Any], Handler]:
        life = Life(self._table, Parents(context, self._forker, self._external))
        control = Control(self._table)
        recovery = Recovery(self._table, context)
        return {
            messages.Hello: self._hello,
            messages.Create: life.create,
            messages.Start: life.start,
            messages.Exec: life.exec,
            messages.Delete: life.delete,
            messages.Discard: life.discard,
            messages.Attach: control.attach,
            messages.Signal: control.signal,
            messages.Resize: control.resize,
            messages.Pause: control.pause,
            messages.Resume: control.resume,
            messages.Update: control.update,
            messages.Statuses: control.statuses,
            messages.Restore: recovery.restore,
            messages.RestoreClient: recovery.restore_client,
            messages.Recover: recovery.recover,
            messages.Shutdown: self._shutdown,
        }

    def _accept(self, _events: int) -> None:
        if self._listener is None:
            return
        try:
            sock, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        if self._table.link is not None:
            log.info("keeper: another daemon takes over")
            self._table.report(messages.TakenOver())
            self._table.link.close()
        self._table.link = Link(self._loop, sock, self._handlers, self._link_closed)

    def _link_closed(self, link: Link) -> None:
        if self._table.link is link:
            self._table.link = None

    def _hello(self, request: messages.Hello, fds: list[int], reply: Reply) -> None:
        close_all(fds)
        if request.protocol != PROTOCOL:
            raise UnsupportedError(f"the keeper speaks protocol {PROTOCOL}, not {request.protocol}")
        for process in self._table.processes():
            self._table.deposit(process, [])
        reply.done({"pid": os.getpid(), "launcher": self._forker.pid, "version": __version__})

    def _shutdown(self, _request: messages.Shutdown, fds: list[int], reply: Reply) -> None:
        close_all(fds)
        if self._busy():
            raise ConflictError("containers are running", hint="stop them first")
        reply.done()
        self._loop.stop()

    def _busy(self) -> bool:
        return bool(self._table.processes() or self._table.creating or self._external.deleting)

    def _signalled(self, numbers: bytes) -> None:
        if signal.SIGCHLD in numbers:
            self._reap()
        if any(number != signal.SIGCHLD for number in numbers):
            if self._busy():
                log.warn("keeper: containers are running: not ended by a signal")
            else:
                self._loop.stop()

    def _reap(self) -> None:
        # While the launcher or a helper is at work an unknown child may be one it is about to tell
        # us of, and while an exec is prepared the one that will be its process.
        if (
            self._forker.idle
            and self._external.idle
            and not any(self._is_unborn(one) for one in self._table.processes())
        ):
            reap_strangers(self._is_known)

    @staticmethod
    def _is_unborn(process: Process) -> bool:
        if process.unborn:
            process.listen()
        return process.unborn

    def _is_known(self, pid: int) -> bool:
        if pid == self._forker.pid:
            return True
        for process in self._table.processes():
            if process.description.pid == pid:
                process.look_again()
                return True
        return False
