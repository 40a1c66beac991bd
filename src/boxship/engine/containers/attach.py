"""attach: connect a client to a container's standard streams."""

from boxship.engine.containers.sessions import (
    LiveSession,
    PendingSession,
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


async def attach(context: Context, entry: Entry, request: AttachRequest) -> Session:
    """Connect now when it runs, else as soon as it starts.

    Raises:
        ConflictError: it is paused, or waits to be restarted.
    """
    container = entry.container
    tty = container.config.tty
    replay: list[bytes] = []
    if request.logs and container.log_path:
        replay = await _written(entry, request)
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
            pending = PendingSession(streams, tty=tty, replay=b"".join(replay))
            entry.pending.append(pending)
            return pending
        connection = await context.supervisor.attach(
            entry.id, None, stdin=streams.stdin, stdout=streams.stdout, stderr=streams.stderr
        )
        return LiveSession(connection, tty=tty, replay=b"".join(replay))


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


async def _written(entry: Entry, request: AttachRequest) -> list[bytes]:
    query = LogQuery(stdout=request.stdout, stderr=request.stderr)
    tty = entry.container.config.tty
    return [
        one.data if tty else frame(one.stream, one.data)
        async for one in read_log(entry.container, query, entry.log_end)
    ]
