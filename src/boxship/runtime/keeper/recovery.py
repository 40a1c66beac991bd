"""How a new keeper takes over from a dead one.

The daemon hands back what was deposited with it: descriptors and descriptions. What nobody hands
back - keeper and daemon died together - is settled from the records: a process that still runs is
adopted again through /proc, one that is gone has ended with a code nobody can tell.
"""

import os
import socket

from boxship import log
from boxship.errors import BoxshipError
from boxship.runtime.channel import close_all
from boxship.runtime.keeper import exits, messages
from boxship.runtime.keeper.container import Container
from boxship.runtime.keeper.link import Reply
from boxship.runtime.keeper.logfile import open_log
from boxship.runtime.keeper.messages import Description, Exit
from boxship.runtime.keeper.process import Context, Process
from boxship.runtime.keeper.records import Record
from boxship.runtime.keeper.table import Table


class Recovery:
    """Handlers of what a daemon sends to a keeper it has just started."""

    def __init__(self, table: Table, context: Context) -> None:
        self._table = table
        self._context = context

    def restore(self, request: messages.Restore, fds: list[int], reply: Reply) -> None:
        self._adopt(request.description, dict(zip(request.names, fds, strict=True)))
        reply.done()

    def restore_client(self, request: messages.RestoreClient, fds: list[int], reply: Reply) -> None:
        sock = socket.socket(fileno=fds[0])
        try:
            process = self._table.find(request.key)
        except BoxshipError:
            sock.close()
            raise
        process.attach(sock, request.client, request.streams)
        reply.done()

    def recover(self, _request: messages.Recover, fds: list[int], reply: Reply) -> None:
        close_all(fds)
        for record in self._table.records.load():
            if record.description.key.container_id not in self._table.containers:
                self._settle(record)
        reply.done()

    def _adopt(self, description: Description, fds: dict[str, int]) -> None:
        try:
            log_file = open_log(description.log, self._context.clock)
        except BoxshipError as e:
            # A container must not die because its log went away.
            log.error(f"keeper: {e}")
            log_file = None
        process = Process(self._context, description, fds, log_file)
        process.adopted()
        container_id, exec_id = description.key
        if exec_id is not None:
            container = self._table.containers.get(container_id)
            if container is not None:
                container.add_exec(exec_id, process)
            return
        container = self._table.add(process)
        if description.cgroup:
            container.paused = self._table.cgroup(description.cgroup).frozen()

    def _settle(self, record: Record) -> None:
        description = record.description
        if record.exit is not None:
            self._enter_ended(description, record.exit)
            return
        try:
            pidfd = self._context.kernel.pidfd_open(description.pid)
        except OSError:
            self._enter_lost(description)
            return
        if self._start_time(description.pid) != description.start_time:
            os.close(pidfd)
            self._enter_lost(description)
            return
        log.warn(f"container {description.key.container_id}: adopted without its keeper's help")
        self._adopt(description, {"pidfd": pidfd, **_reopen_stdio(description)})

    def _start_time(self, pid: int) -> int:
        try:
            return self._context.kernel.start_time(pid)
        except OSError:
            return 0

    def _enter_lost(self, description: Description) -> None:
        log.warn(f"container {description.key.container_id} ended while nobody looked")
        container_id = description.key.container_id
        ended = Exit(container_id, None, exits.UNKNOWN, False, self._context.clock())
        self._table.records.write(Record(description, ended))
        self._enter_ended(description, ended)

    def _enter_ended(self, description: Description, ended: Exit) -> None:
        container = Container(description)
        container.exit = ended
        self._table.containers[container.id] = container


def _reopen_stdio(description: Description) -> dict[str, int]:
    """Our ends of a process's pipes, by way of its own: a pipe in /proc opens like a named one.

    A terminal's master cannot be had again; the kernel hung the terminal up when it closed.
    """
    if description.terminal:
        return {}
    fds: dict[str, int] = {}
    wanted = (("stdin", 0, os.O_WRONLY), ("stdout", 1, os.O_RDONLY), ("stderr", 2, os.O_RDONLY))
    for name, number, mode in wanted:
        path = f"/proc/{description.pid}/fd/{number}"
        try:
            if not os.readlink(path).startswith("pipe:"):  # noqa: PTH115 - no pathlib here
                continue
            fds[name] = os.open(path, mode | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as e:
            log.warn(f"keeper: {path}: {e.strerror}")
    return fds
