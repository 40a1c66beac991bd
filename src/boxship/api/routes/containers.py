"""`/containers`: create, start, stop and the other verbs; list and inspect."""

import time
from collections.abc import Callable

import msgspec

from boxship.api.request import Request, Response, json_response, no_content
from boxship.api.router import Route
from boxship.api.translate import containers as translate
from boxship.api.translate import create
from boxship.engine.facade import EngineFacade
from boxship.engine.values import ListedContainer, ListQuery
from boxship.errors import InvalidArgumentError
from boxship.model.platform import parse_platform
from boxship.wire import container as wire

_ENDING = ("next-exit", "removed", "not-running")


class ContainerRoutes:
    """Containers' life cycle."""

    def __init__(self, engine: EngineFacade, clock: Callable[[], int] = time.time_ns) -> None:
        self._engine = engine
        self._clock = clock

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/containers/json", self.list),
            Route("POST", "/containers/create", self.create),
            Route("POST", "/containers/prune", self.prune),
            Route("GET", "/containers/{id}/json", self.inspect),
            Route("GET", "/containers/{id}/top", self.top),
            Route("POST", "/containers/{id}/start", self.start),
            Route("POST", "/containers/{id}/stop", self.stop),
            Route("POST", "/containers/{id}/restart", self.restart),
            Route("POST", "/containers/{id}/kill", self.kill),
            Route("POST", "/containers/{id}/pause", self.pause),
            Route("POST", "/containers/{id}/unpause", self.unpause),
            Route("POST", "/containers/{id}/rename", self.rename),
            Route("POST", "/containers/{id}/resize", self.resize),
            Route("POST", "/containers/{id}/wait", self.wait),
            Route("DELETE", "/containers/{id}", self.remove),
        )

    async def list(self, request: Request) -> Response:
        query = ListQuery(
            all=request.query.flag("all"),
            # Old clients send limit=-1 for "no limit".
            limit=max(request.query.integer("limit"), 0),
            size=request.query.flag("size"),
            filters=request.query.filters(),
        )
        now = self._clock()
        found = await self._engine.containers.list(query)
        return json_response([translate.summary(item, now) for item in found])

    async def create(self, request: Request) -> Response:
        body = await request.document(wire.CreateRequest)
        platform = request.query.text("platform")
        made = await self._engine.containers.create(
            request.query.text("name").lstrip("/") or None,
            create.container_config(body),
            create.host_config(body),
            parse_platform(platform) if platform else None,
        )
        return json_response(wire.CreateResponse(made.container.id, list(made.warnings)), 201)

    async def inspect(self, request: Request) -> Response:
        ref = request.params["id"]
        if request.query.flag("size"):
            item = await self._engine.containers.size(ref)
        else:
            item = ListedContainer(self._engine.containers.inspect(ref))
        execs = self._engine.execs.of_container(item.container.id)
        return json_response(translate.inspect(item, execs))

    async def top(self, request: Request) -> Response:
        titles, rows = await self._engine.containers.top(request.params["id"])
        return json_response(wire.TopResponse([*titles], [[*row] for row in rows]))

    async def start(self, request: Request) -> Response:
        await self._engine.containers.start(request.params["id"])
        return no_content()

    async def stop(self, request: Request) -> Response:
        await self._engine.containers.stop(
            request.params["id"],
            grace=request.query.optional_integer("t"),
            signal=request.query.text("signal"),
        )
        return no_content()

    async def restart(self, request: Request) -> Response:
        await self._engine.containers.restart(
            request.params["id"],
            grace=request.query.optional_integer("t"),
            signal=request.query.text("signal"),
        )
        return no_content()

    async def kill(self, request: Request) -> Response:
        await self._engine.containers.kill(request.params["id"], request.query.text("signal"))
        return no_content()

    async def pause(self, request: Request) -> Response:
        await self._engine.containers.pause(request.params["id"])
        return no_content()

    async def unpause(self, request: Request) -> Response:
        await self._engine.containers.unpause(request.params["id"])
        return no_content()

    async def rename(self, request: Request) -> Response:
        await self._engine.containers.rename(
            request.params["id"], request.query.text("name").lstrip("/")
        )
        return no_content()

    async def resize(self, request: Request) -> Response:
        await self._engine.containers.resize(
            request.params["id"], request.query.integer("h"), request.query.integer("w")
        )
        return no_content(200)

    async def wait(self, request: Request) -> None:
        """Answer in two parts: the head at once, so that a client may start the container after."""
        condition = request.query.text("condition") or "not-running"
        if condition not in _ENDING:
            raise InvalidArgumentError(f'invalid condition: "{condition}"')
        ended = self._engine.containers.wait(request.params["id"], condition)
        stream = await request.stream()
        result = await ended
        failure = wire.WaitError(result.error) if result.error else None
        await stream.write(msgspec.json.encode(wire.WaitResponse(result.exit_code, failure)))

    async def remove(self, request: Request) -> Response:
        await self._engine.containers.remove(
            request.params["id"],
            force=request.query.flag("force"),
            volumes=request.query.flag("v"),
            link=request.query.flag("link"),
        )
        return no_content()

    async def prune(self, request: Request) -> Response:
        report = await self._engine.containers.prune(request.query.filters())
        return json_response(wire.PruneResponse(list(report.deleted) or None, report.reclaimed))
