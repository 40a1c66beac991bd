"""`/networks`."""

from boxship.api.request import Request, Response, json_response, no_content
from boxship.api.router import Route
from boxship.api.translate import networks as translate
from boxship.api.translate.create import endpoint_request
from boxship.engine.facade import EngineFacade
from boxship.wire import network as wire


class NetworkRoutes:
    """Networks and connections to them."""

    def __init__(self, engine: EngineFacade) -> None:
        self._engine = engine

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/networks", self.list),
            Route("POST", "/networks/create", self.create),
            Route("POST", "/networks/prune", self.prune),
            Route("POST", "/networks/{id}/connect", self.connect),
            Route("POST", "/networks/{id}/disconnect", self.disconnect),
            Route("GET", "/networks/{id}", self.inspect),
            Route("DELETE", "/networks/{id}", self.remove),
        )

    async def list(self, request: Request) -> Response:
        found = self._engine.networks.list(request.query.filters())
        return json_response([translate.listed(network) for network in found])

    async def create(self, request: Request) -> Response:
        body = await request.document(wire.NetworkCreateRequest)
        network = await self._engine.networks.create(translate.request(body))
        return json_response(wire.NetworkCreateResponse(network.id), 201)

    async def inspect(self, request: Request) -> Response:
        return json_response(translate.inspect(self._engine.networks.inspect(request.params["id"])))

    async def remove(self, request: Request) -> Response:
        await self._engine.networks.remove(request.params["id"])
        return no_content()

    async def connect(self, request: Request) -> Response:
        body = await request.document(wire.NetworkConnectRequest)
        await self._engine.networks.connect(
            request.params["id"], body.container, endpoint_request(body.endpoint_config)
        )
        return no_content(200)

    async def disconnect(self, request: Request) -> Response:
        body = await request.document(wire.NetworkDisconnectRequest)
        await self._engine.networks.disconnect(
            request.params["id"], body.container, force=body.force
        )
        return no_content(200)

    async def prune(self, request: Request) -> Response:
        report = await self._engine.networks.prune(request.query.filters())
        return json_response(wire.PruneResponse(list(report.deleted) or None))
