"""Requests that begin and end processes: create, start, exec, delete."""

import json
import signal
import socket
from collections.abc import Callable

from boxship import log
from boxship.errors import BoxshipError, ConflictError
from boxship.runtime.channel import close_all
from boxship.runtime.keeper import creation, messages
from boxship.runtime.keeper.container import Container
from boxship.runtime.keeper.creation import Parents
from boxship.runtime.keeper.link import Reply
from boxship.runtime.keeper.process import Process
from boxship.runtime.keeper.table import Table


class Life:
    """Handlers; each answers its request when the thing is done, not when it is begun."""

    def __init__(self, table: Table, parents: Parents) -> None:
        self._table = table
        self._parents = parents
        table.on_deletable = self._remove

    def create(self, request: messages.Create, fds: list[int], reply: Reply) -> None:
        close_all(fds)
        self._table.reserve(request.id)

        def born(result: Process | BoxshipError) -> None:
            self._table.creating.discard(request.id)
            if isinstance(result, BoxshipError):
                error = result
                self._discard(
                    messages.Discard(request.id, request.bundle, request.runtime),
                    lambda: reply.failed(error),
                )
                return
            self._table.add(result)
            self._table.deposit(result, [])
            reply.done(result.description.pid)

        try:
            creation.create(self._parents, request, born)
        except (BoxshipError, OSError):
            self._table.creating.discard(request.id)
            raise

    def start(self, request: messages.Start, fds: list[int], reply: Reply) -> None:
        close_all(fds)
        container = self._table.get(request.id)
        if container.failure is not None:
            raise container.failure
        container.live().go(_answer_with(reply, None))

    def exec(self, request: messages.Exec, fds: list[int], reply: Reply) -> None:
        sockets = [socket.socket(fileno=fd) for fd in fds]

        def born(result: Process | BoxshipError) -> None:
            if isinstance(result, BoxshipError):
                _close(sockets)
                reply.failed(result)
                return
            self._enter_exec(request, result, sockets, reply)

        try:
            container = self._table.get(request.container_id)
            if request.exec_id in (container.execs or {}):
                raise ConflictError(f"exec {request.exec_id} already runs")
            creation.create_exec(self._parents, request, _running(container), born)
        except (BoxshipError, OSError):
            _close(sockets)
            raise

    def delete(self, request: messages.Delete, fds: list[int], reply: Reply) -> None:
        close_all(fds)
        if request.id in self._table.creating:
            raise ConflictError(f"container {request.id} is being made")
        container = self._table.containers.get(request.id)
        if container is None:
            reply.done()
            return
        container.deleting = (*container.deleting, reply)
        if container.process is None:
            if len(container.deleting) == 1:
                self._remove(container)
        elif len(container.deleting) == 1:
            self._kill(container, container.process)

    def discard(self, request: messages.Discard, fds: list[int], reply: Reply) -> None:
        close_all(fds)
        self._discard(request, reply.done)

    def _enter_exec(
        self, request: messages.Exec, process: Process, sockets: list[socket.socket], reply: Reply
    ) -> None:
        container = self._table.containers.get(request.container_id)
        if container is not None:
            container.add_exec(request.exec_id, process)
        self._table.deposit(process, [])
        if sockets and request.streams is not None:
            process.attach(sockets[0], request.client, request.streams)

        def begun(failure: BoxshipError | None) -> None:
            if failure is not None and container is not None:
                container.drop_exec(request.exec_id)
            _answer_with(reply, process.description.pid)(failure)

        try:
            process.go(begun)
        except BoxshipError as e:
            begun(e)

    def _kill(self, container: Container, process: Process) -> None:
        if not process.ending:
            process.signal(signal.SIGKILL)
        if container.cgroup and container.paused:
            # A frozen process of a v1 hierarchy takes no signal before it is thawed.
            self._table.cgroup(container.cgroup).kill()

    def _remove(self, container: Container) -> None:
        if container.runtime:
            self._parents.external.delete(
                container.runtime,
                container.id,
                container.bundle,
                lambda: self._forget(container),
            )
        else:
            self._forget(container)

    def _forget(self, container: Container) -> None:
        error: Exception | None = None
        try:
            self._remove_cgroup(container.cgroup)
        except (BoxshipError, OSError) as e:
            error = e
        else:
            self._table.remove(container)
        waiting, container.deleting = container.deleting, ()
        for reply in waiting:
            if error is None:
                reply.done()
            else:
                reply.failed(error)

    def _remove_cgroup(self, path: str) -> None:
        if not path:
            return
        cgroup = self._table.cgroup(path)
        if cgroup.processes():
            cgroup.kill()
        cgroup.remove()

    def _discard(self, what: messages.Discard, done: Callable[[], None]) -> None:
        def rest() -> None:
            self._clean_up(what.id, what.bundle)
            done()

        if what.runtime:
            self._parents.external.delete(tuple(what.runtime), what.id, what.bundle, rest)
        else:
            rest()

    def _clean_up(self, container_id: str, bundle: str) -> None:
        """Remove the control group of a container whose making was cut short."""
        try:
            with open(f"{bundle}/config.json", "rb") as file:  # noqa: PTH123 - no pathlib here
                spec = json.load(file)
            # As runtime.spawn.cgroup_path, which would bring all of the launcher in here.
            path = (spec.get("linux") or {}).get("cgroupsPath") or f"/boxship/{container_id}"
            self._remove_cgroup(path)
        except (OSError, ValueError, BoxshipError) as e:
            log.warn(f"keeper: nothing removed for {bundle}: {e}")


def _running(container: Container) -> Process:
    process = container.live()
    if not process.started:
        raise ConflictError(f"container {container.id} is not running")
    if container.paused:
        raise ConflictError(f"container {container.id} is paused", hint="resume it first")
    return process


def _answer_with(reply: Reply, value: int | None) -> Callable[[BoxshipError | None], None]:
    def answer(failure: BoxshipError | None) -> None:
        if failure is None:
            reply.done(value)
        else:
            reply.failed(failure)

    return answer


def _close(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()
