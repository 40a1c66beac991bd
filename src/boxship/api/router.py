"""Routes: method and path pattern to handler.

A pattern's `{name}` captures everything up to the literal that follows it, slashes included,
because image names hold slashes (`/images/{name}/json`).
"""

import re
from collections.abc import Awaitable, Callable

import msgspec

from boxship.api.errors import error_body
from boxship.api.request import Request, Response

Handler = Callable[[Request], Awaitable[Response | None]]


class Route(msgspec.Struct, frozen=True):
    """One operation of the API."""

    method: str
    pattern: str
    handler: Handler


class Router:
    """Finds a request's handler; the first route that matches wins."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._by_head: dict[tuple[str, str], list[tuple[re.Pattern[str], Handler]]] = {}
        self._heads = {_head(route.pattern) for route in routes}
        for route in routes:
            key = (route.method, _head(route.pattern))
            self._by_head.setdefault(key, []).append((_compile(route.pattern), route.handler))

    async def __call__(self, request: Request) -> Response | None:
        """Serve a request, or answer 404 as Docker does for a path or method it does not know."""
        method = request.method
        candidates = self._by_head.get((method, _head(request.path)), [])
        for pattern, handler in candidates:
            match = pattern.fullmatch(request.path)
            if match is not None:
                request.params = {
                    name: value.strip("/") for name, value in match.groupdict().items()
                }
                return await handler(request)
        return Response(404, error_body("page not found"))


def _head(path: str) -> str:
    return path.lstrip("/").partition("/")[0]


def _compile(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", pattern)
    literal = [re.escape(text) for text in parts[::2]]
    names = [f"(?P<{name}>.+)" for name in parts[1::2]]
    text = literal[0] + "".join(name + rest for name, rest in zip(names, literal[1:], strict=True))
    return re.compile(text + "/?")
