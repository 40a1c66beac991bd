"""Networks of an engine."""

from collections.abc import Sequence

from boxship.client.calls import Calls, Filters, encode_filters
from boxship.wire.network import (
    EndpointSettings,
    Network,
    NetworkConnectRequest,
    NetworkCreateRequest,
    NetworkCreateResponse,
    NetworkDisconnectRequest,
)


class Networks:
    """Networks, one verb a method. A `ref` is a name, an id or a unique prefix of one."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self, *, filters: Filters | None = None) -> Sequence[Network]:
        query = {"filters": encode_filters(filters)}
        return self._calls.ask(list[Network], "GET", "/networks", query)

    def get(self, ref: str) -> Network:
        return self._calls.ask(Network, "GET", f"/networks/{ref}")

    def create(self, request: NetworkCreateRequest) -> str:
        """Make a network; its id."""
        path = "/networks/create"
        return self._calls.ask(NetworkCreateResponse, "POST", path, body=request).id

    def remove(self, ref: str) -> None:
        self._calls.send("DELETE", f"/networks/{ref}")

    def connect(self, ref: str, container: str, *aliases: str) -> None:
        """Join a container to a network, under further names if wished."""
        settings = EndpointSettings(aliases=[*aliases])
        body = NetworkConnectRequest(container, settings)
        self._calls.send("POST", f"/networks/{ref}/connect", body=body)

    def disconnect(self, ref: str, container: str, *, force: bool = False) -> None:
        body = NetworkDisconnectRequest(container, force)
        self._calls.send("POST", f"/networks/{ref}/disconnect", body=body)
