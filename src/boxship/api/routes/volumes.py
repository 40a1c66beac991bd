"""`/volumes`."""

from boxship.api.request import Request, Response, json_response, no_content
from boxship.api.router import Route
from boxship.api.translate import volumes as translate
from boxship.engine.facade import EngineFacade
from boxship.wire import volume as wire


class VolumeRoutes:
    """Volumes."""

    def __init__(self, engine: EngineFacade) -> None:
        self._engine = engine

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/volumes", self.list),
            Route("POST", "/volumes/create", self.create),
            Route("POST", "/volumes/prune", self.prune),
            Route("GET", "/volumes/{name}", self.inspect),
            Route("DELETE", "/volumes/{name}", self.remove),
        )

    async def list(self, request: Request) -> Response:
        found = self._engine.volumes.list(request.query.filters())
        return json_response(wire.VolumeList([translate.document(volume) for volume in found]))

    async def create(self, request: Request) -> Response:
        body = await request.document(wire.VolumeCreateRequest)
        volume = await self._engine.volumes.create(
            body.name,
            body.driver or "local",
            dict(body.labels or {}),
            dict(body.driver_opts or {}),
        )
        return json_response(translate.document(volume), 201)

    async def inspect(self, request: Request) -> Response:
        return json_response(translate.document(self._engine.volumes.get(request.params["name"])))

    async def remove(self, request: Request) -> Response:
        await self._engine.volumes.remove(request.params["name"], force=request.query.flag("force"))
        return no_content()

    async def prune(self, request: Request) -> Response:
        report = await self._engine.volumes.prune(request.query.filters())
        return json_response(wire.PruneResponse(list(report.deleted) or None, report.reclaimed))
