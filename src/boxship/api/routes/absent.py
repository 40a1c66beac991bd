"""What Docker's API has and this engine has not: answered in the words that clients expect."""

from collections.abc import Awaitable, Callable

from boxship.api.errors import error_body
from boxship.api.request import Request, Response, json_response
from boxship.api.router import Route
from boxship.errors import UnsupportedError

_SWARM = ("swarm", "nodes", "services", "tasks", "secrets", "configs")
_NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to'
    " connect this node to swarm and try again."
)
_BUILDKIT = "set DOCKER_BUILDKIT=0 to build through the classic endpoint"

# Method, pattern, what it is, what to do instead.
_ABSENT = (
    ("HEAD", "/containers/{id}/archive", "copying from containers (cp)", ""),
    ("GET", "/containers/{id}/archive", "copying from containers (cp)", ""),
    ("PUT", "/containers/{id}/archive", "copying into containers (cp)", ""),
    ("GET", "/containers/{id}/changes", "listing changed files (diff)", ""),
    ("GET", "/containers/{id}/export", "exporting containers", ""),
    ("GET", "/containers/{id}/stats", "container statistics", ""),
    ("POST", "/containers/{id}/update", "updating containers", "make the container anew"),
    ("POST", "/containers/{id}/checkpoints", "checkpoints", ""),
    ("GET", "/containers/{id}/checkpoints", "checkpoints", ""),
    ("POST", "/commit", "committing containers", "build the image from a Dockerfile"),
    ("GET", "/images/search", "searching registries", ""),
    ("GET", "/distribution/{name}/json", "inspecting images in registries", "pull the image"),
    ("POST", "/build/cancel", "cancelling builds by their id", "close the build's connection"),
    ("POST", "/session", "BuildKit sessions", _BUILDKIT),
    ("POST", "/grpc", "BuildKit", _BUILDKIT),
    ("PUT", "/volumes/{name}", "updating volumes", ""),
    ("GET", "/plugins/privileges", "plugins", ""),
    ("POST", "/plugins/{rest}", "plugins", ""),
    ("GET", "/plugins/{rest}", "plugins", ""),
    ("DELETE", "/plugins/{rest}", "plugins", ""),
)


class AbsentRoutes:
    """Swarm, plugins, and operations that this version does not serve."""

    def routes(self) -> tuple[Route, ...]:
        swarm = tuple(
            Route(method, pattern, self.no_swarm)
            for name in _SWARM
            for method in ("GET", "POST", "DELETE")
            for pattern in (f"/{name}", f"/{name}/{{rest}}")
        )
        absent = tuple(
            Route(method, pattern, _refuse(what, hint)) for method, pattern, what, hint in _ABSENT
        )
        return (*swarm, Route("GET", "/plugins", self.no_plugins), *absent)

    async def no_swarm(self, _request: Request) -> Response:
        return Response(503, error_body(_NO_SWARM))

    async def no_plugins(self, _request: Request) -> Response:
        return json_response([])


def _refuse(what: str, hint: str) -> Callable[[Request], Awaitable[Response]]:
    async def refuse(request: Request) -> Response:
        operation = f"{request.method} {request.path}"
        raise UnsupportedError(f"{what} is not supported by this engine: {operation}", hint=hint)

    return refuse
