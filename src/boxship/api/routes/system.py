"""`/_ping`, `/version`, `/info`, `/events`, `/system/df`, `/auth`."""

import time
from collections.abc import Callable

import msgspec

from boxship.api.request import Request, Response, json_response
from boxship.api.router import Route
from boxship.api.translate import system as translate
from boxship.api.translate.credentials import from_request
from boxship.api.translate.times import parse_time
from boxship.engine.facade import EngineFacade
from boxship.wire.image import AuthRequest, AuthResponse

_NO_CACHE = (
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Pragma", "no-cache"),
    ("Builder-Version", "1"),
    ("Swarm", "inactive"),
)


class SystemRoutes:
    """The engine as a whole."""

    def __init__(self, engine: EngineFacade, clock: Callable[[], int] = time.time_ns) -> None:
        self._engine = engine
        self._clock = clock

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("HEAD", "/_ping", self.ping),
            Route("GET", "/_ping", self.ping),
            Route("GET", "/version", self.version),
            Route("GET", "/info", self.info),
            Route("GET", "/events", self.events),
            Route("GET", "/system/df", self.disk_usage),
            Route("POST", "/auth", self.login),
        )

    async def ping(self, request: Request) -> Response:
        body = b"" if request.method == "HEAD" else b"OK"
        return Response(200, body, "text/plain; charset=utf-8", _NO_CACHE)

    async def version(self, _request: Request) -> Response:
        return json_response(translate.version(self._engine.system.version()))

    async def info(self, _request: Request) -> Response:
        return json_response(translate.info(self._engine.system.info()))

    async def events(self, request: Request) -> None:
        now = self._clock()
        since = parse_time(request.query.text("since"), now)
        until = parse_time(request.query.text("until"), now)
        events = self._engine.events.subscribe(since, until, request.query.filters())
        stream = await request.stream()
        async for event in events:
            await stream.write(msgspec.json.encode(translate.event(event)) + b"\n")

    async def disk_usage(self, request: Request) -> Response:
        usage = await self._engine.system.disk_usage()
        return json_response(translate.disk_usage(usage, request.version, self._clock()))

    async def login(self, request: Request) -> Response:
        credentials = from_request(await request.document(AuthRequest))
        token = await self._engine.system.login(credentials)
        return json_response(AuthResponse("Login Succeeded", token))
