"""What Docker's API has and this engine has not: answered in the words that clients expect."""

from boxship.api.errors import error_body
from boxship.api.request import Request, Response, json_response
from boxship.api.router import Route

_SWARM = ("swarm", "nodes", "services", "tasks", "secrets", "configs")
_NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to'
    " connect this node to swarm and try again."
)


class AbsentRoutes:
    """Swarm, and plugins."""

    def routes(self) -> tuple[Route, ...]:
        swarm = tuple(
            Route(method, pattern, self.no_swarm)
            for name in _SWARM
            for method in ("GET", "POST", "DELETE")
            for pattern in (f"/{name}", f"/{name}/{{rest}}")
        )
        return (*swarm, Route("GET", "/plugins", self.no_plugins))

    async def no_swarm(self, _request: Request) -> Response:
        return Response(503, error_body(_NO_SWARM))

    async def no_plugins(self, _request: Request) -> Response:
        return json_response([])
