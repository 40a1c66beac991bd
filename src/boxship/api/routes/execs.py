"""`/containers/{id}/exec` and `/exec/{id}`: further processes."""

import asyncio
from contextlib import suppress

from boxship.api.detach import keys_of
from boxship.api.request import Request, Response, json_response, no_content
from boxship.api.router import Route
from boxship.api.streams import STDERR, FramedSession, connect, content_type, frame
from boxship.api.translate import containers as translate
from boxship.api.translate.create import argv
from boxship.engine.facade import EngineFacade
from boxship.engine.values import ExecConfig, ExecStart
from boxship.errors import InvalidArgumentError
from boxship.wire import container as wire

_EXIT_AFTER_OUTPUT = 1.0


class ExecRoutes:
    """Exec instances."""

    def __init__(self, engine: EngineFacade) -> None:
        self._engine = engine

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/containers/{id}/exec", self.create),
            Route("POST", "/exec/{id}/start", self.start),
            Route("POST", "/exec/{id}/resize", self.resize),
            Route("GET", "/exec/{id}/json", self.inspect),
        )

    async def create(self, request: Request) -> Response:
        body = await request.document(wire.ExecCreateRequest)
        command = argv(body.cmd)
        if command is None:
            raise InvalidArgumentError("No exec command specified")
        exec_id = await self._engine.execs.create(
            request.params["id"],
            ExecConfig(
                argv=command,
                env=tuple(body.env or ()),
                user=body.user,
                working_dir=body.working_dir,
                tty=body.tty,
                privileged=body.privileged,
                attach_stdin=body.attach_stdin,
                attach_stdout=body.attach_stdout,
                attach_stderr=body.attach_stderr,
                detach_keys=body.detach_keys or body.detach_keys_too,
            ),
        )
        return json_response(wire.IdResponse(exec_id), 201)

    async def start(self, request: Request) -> Response | None:
        body = await request.document(wire.ExecStartRequest)
        config = self._engine.execs.inspect(request.params["id"]).config
        size = body.console_size or [0, 0]
        keys = keys_of(config.detach_keys, tty=config.tty)
        raw = content_type(request, tty=body.tty)
        try:
            session = await self._engine.execs.start(
                request.params["id"], ExecStart(body.detach, config.tty, *size[:2])
            )
        except InvalidArgumentError as error:
            if body.detach:
                raise
            # Docker has taken the connection over by then: its clients read the failure from the
            # stream, and the exit code (126, 127) from inspect.
            duplex = await request.hijack(raw)
            text = f"{error}\r\n".encode()
            await duplex.write(text if body.tty else frame(STDERR, text))
            duplex.close()
            return None
        if session is None:
            return no_content(200)
        duplex = await request.hijack(raw)
        framed = config.tty and not body.tty
        session = FramedSession(session) if framed else session
        await connect(duplex, session, keys, lambda: self._ended(request.params["id"]))
        return None

    async def _ended(self, exec_id: str) -> None:
        """Clients ask for the exit code as soon as the output ends.

        A process that closed its output and goes on is not waited for.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._engine.execs.wait(exec_id), _EXIT_AFTER_OUTPUT)

    async def resize(self, request: Request) -> Response:
        await self._engine.execs.resize(
            request.params["id"], request.query.integer("h"), request.query.integer("w")
        )
        return no_content(201)

    async def inspect(self, request: Request) -> Response:
        return json_response(
            translate.exec_inspect(self._engine.execs.inspect(request.params["id"]))
        )
