"""`/containers/{id}/attach` and `/logs`: a container's streams."""

import time
from collections.abc import Callable

from boxship.api.detach import DetachKeys, keys_of
from boxship.api.request import Request
from boxship.api.router import Route
from boxship.api.streams import UnframedSession, connect, content_type, frame
from boxship.api.translate.times import parse_time, rfc3339_fixed
from boxship.api.websocket import WebSocket, accept_key
from boxship.engine.facade import EngineFacade, Session
from boxship.engine.values import AttachRequest, LogEntry, LogQuery
from boxship.errors import InvalidArgumentError


class OutputRoutes:
    """Attach and logs."""

    def __init__(self, engine: EngineFacade, clock: Callable[[], int] = time.time_ns) -> None:
        self._engine = engine
        self._clock = clock

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/containers/{id}/attach", self.attach),
            Route("GET", "/containers/{id}/attach/ws", self.attach_websocket),
            Route("GET", "/containers/{id}/logs", self.logs),
        )

    async def attach(self, request: Request) -> None:
        session, keys = await self._attach(request)
        duplex = await request.hijack(content_type(request, tty=session.tty))
        await connect(duplex, session, keys)

    async def attach_websocket(self, request: Request) -> None:
        """The same for browsers; the output comes without frames, as with Docker."""
        key = request.headers.get("sec-websocket-key", "")
        if request.headers.get("upgrade", "").lower() != "websocket" or not key:
            raise InvalidArgumentError("not a websocket handshake: Upgrade or its key is missing")
        session, keys = await self._attach(request)
        accept = f"Sec-WebSocket-Accept: {accept_key(key)}\r\n"
        socket = WebSocket(await request.switch("websocket", accept))
        shown = session if session.tty else UnframedSession(session)
        await connect(socket, shown, keys, socket.finish)

    async def _attach(self, request: Request) -> tuple[Session, DetachKeys]:
        query = request.query
        container = self._engine.containers.inspect(request.params["id"])
        keys = keys_of(query.text("detachKeys"), tty=container.config.tty)
        wanted = AttachRequest(
            stream=query.flag("stream"),
            logs=query.flag("logs"),
            stdin=query.flag("stdin"),
            stdout=query.flag("stdout"),
            stderr=query.flag("stderr"),
        )
        return await self._engine.containers.attach(container.id, wanted), keys

    async def logs(self, request: Request) -> None:
        query = request.query
        wanted = self._log_query(request)
        container = self._engine.containers.inspect(request.params["id"])
        entries = self._engine.containers.logs(container.id, wanted)
        tty, stamps = container.config.tty, query.flag("timestamps")
        stream = await request.stream(content_type(request, tty=tty))
        async for entry in entries:
            data = _stamped(entry) if stamps else entry.data
            await stream.write(data if tty else frame(entry.stream, data))

    def _log_query(self, request: Request) -> LogQuery:
        query = request.query
        stdout, stderr = query.flag("stdout"), query.flag("stderr")
        if not (stdout or stderr):
            raise InvalidArgumentError("Bad parameters: you must choose at least one stream")
        now = self._clock()
        tail = query.text("tail", "all")
        return LogQuery(
            stdout=stdout,
            stderr=stderr,
            # Docker reads anything that is no number as "all".
            tail=int(tail) if tail.isdigit() else None,
            since=parse_time(query.text("since"), now),
            until=parse_time(query.text("until"), now),
            follow=query.flag("follow"),
        )


def _stamped(entry: LogEntry) -> bytes:
    return rfc3339_fixed(entry.time).encode() + b" " + entry.data
