"""Requests about processes that run: attach, signals, terminals, freezing, limits, statuses."""

import signal
import socket
from typing import TYPE_CHECKING

from boxship.errors import ConflictError, NotFoundError
from boxship.runtime.channel import close_all
from boxship.runtime.keeper import messages
from boxship.runtime.keeper.attach import hang_up
from boxship.runtime.keeper.container import Container
from boxship.runtime.keeper.link import Reply
from boxship.runtime.keeper.table import Table

if TYPE_CHECKING:
    from boxship.runtime.cgroups import Cgroup


class Control:
    """Handlers; each answers at once."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def attach(self, request: messages.Attach, fds: list[int], reply: Reply) -> None:
        sock = socket.socket(fileno=fds[0])
        try:
            process = self._table.find(request.key)
        except (NotFoundError, ConflictError):
            # It may just have ended: then the client sees end of file, as it would have anyway.
            hang_up(sock)
            self._table.report(messages.ClientGone(request.client))
            if request.key.container_id not in self._table.containers:
                raise
            reply.done()
            return
        process.attach(sock, request.client, request.streams)
        reply.done()

    def signal(self, request: messages.Signal, fds: list[int], reply: Reply) -> None:
        close_all(fds)
        self._table.find(request.key).signal(request.signum)
        container = self._table.get(request.key.container_id)
        if request.signum == signal.SIGKILL and container.paused:
            # Docker kills paused containers too; a frozen v1 group holds the signal back.
            self._cgroup(container).thaw()
            container.paused = False
        reply.done()

    def resize(self, request: messages.Resize, fds: list[int], reply: Reply) -> None:
        close_all(fds)
        self._table.find(request.key).resize(request.rows, request.columns)
        reply.done()

    def pause(self, request: messages.Pause, fds: list[int], reply: Reply) -> None:
        close_all(fds)
        container = self._running(request.id)
        if container.paused:
            raise ConflictError(f"container {request.id} is already paused")
        self._cgroup(container).freeze()
        container.paused = True
        reply.done()

    def resume(self, request: messages.Resume, fds: list[int], reply: Reply) -> None:
        close_all(fds)
        container = self._running(request.id)
        if not container.paused:
            raise ConflictError(f"container {request.id} is not paused")
        self._cgroup(container).thaw()
        container.paused = False
        reply.done()

    def update(self, request: messages.Update, fds: list[int], reply: Reply) -> None:
        close_all(fds)
        container = self._running(request.id)
        reply.done(self._cgroup(container).apply(request.resources))

    def statuses(self, _request: messages.Statuses, fds: list[int], reply: Reply) -> None:
        close_all(fds)
        execs, self._table.ended_execs = self._table.ended_execs, []
        reply.done(
            [
                container.state([e for e in execs if e.container_id == container.id])
                for container in self._table.containers.values()
            ]
        )

    def _running(self, container_id: str) -> Container:
        container = self._table.get(container_id)
        container.live()
        return container

    def _cgroup(self, container: Container) -> "Cgroup":
        if not container.cgroup:
            raise ConflictError(f"container {container.id} has no control group")
        return self._table.cgroup(container.cgroup)
