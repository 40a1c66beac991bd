"""Our own additions that concern the daemon itself; Docker's API has nothing like them."""

from collections.abc import Awaitable, Callable

from boxship.api.request import Request, Response, no_content
from boxship.api.router import Route

Shutdown = Callable[[bool], Awaitable[None]]
"""Ends the daemon after the answer; true: stop the running containers first."""


class DaemonRoutes:
    """Stopping the daemon."""

    def __init__(self, shutdown: Shutdown) -> None:
        self._shutdown = shutdown

    def routes(self) -> tuple[Route, ...]:
        return (Route("POST", "/boxship/stop", self.stop),)

    async def stop(self, request: Request) -> Response:
        await self._shutdown(request.query.flag("containers"))
        return no_content()
