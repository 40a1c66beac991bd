"""attach: connect a client to a container's standard streams."""

import time
from collections.abc import AsyncIterator

from boxship.engine.containers.sessions import (
    LiveSession,
    PendingSession,
    Replay,
    ReplaySession,
    streams_of,
)
from boxship.engine.containers.store import Entry
from boxship.engine.context import Context
from boxship.engine.facade import Session
from boxship.engine.logs.frames import frame
from boxship.engine.logs.reader import read_log
from boxship.engine.values import AttachRequest, LogQuery
from boxship.errors import ConflictError

_PIECE = 65536


async def attach(context: Context, entry: Entry, request: AttachRequest) -> Session:
    """Connect now when it runs, else as soon as it starts.

    Raises:
        ConflictError: it is paused, or waits to be restarted.
    """
    container = entry.container
    tty = container.config.tty
    replay = Replay()
    if request.logs and container.log_path:
        # What is written from now on comes from the process itself.
        replay = Replay(_written(entry, request, time.time_ns()))
    if not request.stream:
        return ReplaySession(replay, tty=tty)
    async with entry.lock:
        status = entry.container.state.status
        if status == "paused":
            raise ConflictError(
                f"container {entry.id} is paused, unpause the container before attach"
            )
        if status == "restarting":
            raise ConflictError(
                f"container {entry.id} is restarting, wait until the container is running"
            )
        context.tell(entry, "attach")
        streams = streams_of(request)
        if not container.config.open_stdin:
            streams = streams._replace(stdin=False)
        if status != "running":
            pending = PendingSession(streams, tty=tty, replay=replay)
            entry.pending.append(pending)
            return pending
        connection = await context.supervisor.attach(
            entry.id, None, stdin=streams.stdin, stdout=streams.stdout, stderr=streams.stderr
        )
        return LiveSession(connection, tty=tty, replay=replay)


async def bind_pending(context: Context, entry: Entry) -> None:
    """Connect the sessions that wait to a process that was made and does not run yet."""
    for session in entry.pending:
        if session.closed:
            continue
        streams = session.streams
        session.bind(
            await context.supervisor.attach(
                entry.id, None, stdin=streams.stdin, stdout=streams.stdout, stderr=streams.stderr
            )
        )
    entry.pending.clear()


async def _written(entry: Entry, request: AttachRequest, until: int) -> AsyncIterator[bytes]:
    query = LogQuery(stdout=request.stdout, stderr=request.stderr, until=until)
    tty = entry.container.config.tty
    batch: list[bytes] = []
    size = 0
    async for one in read_log(entry.container, query, entry.log_end):
        batch.append(one.data if tty else frame(one.stream, one.data))
        size += len(batch[-1])
        if size >= _PIECE:
            yield b"".join(batch)
            batch, size = [], 0
    if batch:
        yield b"".join(batch)
