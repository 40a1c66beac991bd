"""Networks as the API sees them: the network service, its events, and containers' connections."""

from collections.abc import Callable

import msgspec

from boxship.engine.containers.network import (
    DEFAULT_NETWORK,
    idle_endpoint,
    join,
    leave,
    network_namespace,
)
from boxship.engine.containers.store import Entry
from boxship.engine.context import Context
from boxship.engine.filters import check_filters, has_labels, older_than
from boxship.engine.sandboxes import files
from boxship.engine.sandboxes.modes import modes_of
from boxship.engine.values import Filters, NetworkDetails, PruneReport
from boxship.errors import (
    ConflictError,
    ForbiddenError,
    InvalidArgumentError,
    NotFoundError,
)
from boxship.model.container import EndpointRequest
from boxship.model.network import Network, NetworkRequest

_Test = Callable[[str], bool]
_PREDEFINED = ("bridge", "host", "none")
_FILTERS = ("id", "name", "driver", "label", "label!", "scope", "type", "dangling")


class NetworkFacade:
    """See `facade.Networks` for what each method means and raises."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(self, request: NetworkRequest) -> Network:
        network = await self._context.networks.create(request)
        self._tell("create", network)
        return network

    async def remove(self, ref: str) -> None:
        self._tell("destroy", await self._context.networks.remove(ref))

    def inspect(self, ref: str) -> NetworkDetails:
        network = self._context.networks.get(ref)
        return NetworkDetails(
            network,
            tuple(
                entry.container
                for entry in self._context.store
                if any(
                    one.network_id == network.id and one.endpoint_id
                    for one in entry.container.endpoints.values()
                )
            ),
        )

    def list(self, filters: Filters) -> tuple[Network, ...]:
        check_filters(filters, _FILTERS)
        return tuple(one for one in self._context.networks.list() if self._passes(one, filters))

    async def connect(self, ref: str, container: str, request: EndpointRequest) -> None:
        network = self._context.networks.get(ref)
        entry = self._context.store.find(container)
        async with entry.lock:
            self._check_connect(entry, network, request)
            if entry.container.state.pid:
                with network_namespace(entry.container.state.pid) as namespace:
                    endpoint = await join(
                        self._context, entry.container, namespace, network.id, request
                    )
            else:
                endpoint = idle_endpoint(self._context, network.name, request)
            now = entry.container
            networks = {**now.host.networks, network.name: request}
            self._context.store.save(
                entry,
                msgspec.structs.replace(
                    now,
                    host=msgspec.structs.replace(now.host, networks=networks),
                    endpoints={**now.endpoints, network.name: endpoint},
                ),
            )
            self._rewrite_files(entry)

    async def disconnect(self, ref: str, container: str, *, force: bool = False) -> None:
        network = self._context.networks.get(ref)
        try:
            entry = self._context.store.find(container)
        except NotFoundError:
            if force:
                return
            raise
        async with entry.lock:
            endpoint = entry.container.endpoints.get(network.name)
            if endpoint is None:
                raise ConflictError(
                    f"container {entry.id} is not connected to network {network.name}"
                )
            if network.name == "host":
                raise ConflictError("container cannot be disconnected from host network")
            if endpoint.endpoint_id:
                with network_namespace(entry.container.state.pid) as namespace:
                    await leave(self._context, entry.id, endpoint, namespace)
            self._forget(entry, network.name)
            self._rewrite_files(entry)

    async def prune(self, filters: Filters) -> PruneReport:
        check_filters(filters, ("until", "label", "label!"))
        limit = older_than(filters, self._context.clock())
        used = {
            endpoint.network_id
            for entry in self._context.store
            for endpoint in entry.container.endpoints.values()
        }

        def doomed(network: Network) -> bool:
            young = limit is not None and network.created >= limit
            return network.id not in used and not young and has_labels(network.labels, filters)

        gone = await self._context.networks.prune(doomed)
        for network in gone:
            self._tell("destroy", network)
        self._context.events.emit("network", "prune", "", {"reclaimed": "0"})
        return PruneReport(tuple(network.name for network in gone))

    def _check_connect(self, entry: Entry, network: Network, request: EndpointRequest) -> None:
        container = entry.container
        mode = modes_of(container.host).network
        if mode.is_shared or mode.is_host or network.driver == "host":
            raise ForbiddenError(
                "container sharing network namespace with another container or host cannot be "
                "connected to any other network"
            )
        if network.driver == "null" or "none" in container.endpoints:
            raise ForbiddenError(
                "container cannot be connected to multiple networks with one of the networks in "
                "private (none) mode"
            )
        if network.name in container.endpoints:
            raise ForbiddenError(
                f"endpoint with name {container.name} already exists in network {network.name}"
            )
        if network.name == DEFAULT_NETWORK and request.aliases:
            raise InvalidArgumentError(
                "network-scoped alias is supported only for containers in user defined networks"
            )

    def _forget(self, entry: Entry, name: str) -> None:
        now = entry.container
        networks = {key: one for key, one in now.host.networks.items() if key != name}
        endpoints = {key: one for key, one in now.endpoints.items() if key != name}
        self._context.store.save(
            entry,
            msgspec.structs.replace(
                now,
                host=msgspec.structs.replace(now.host, networks=networks),
                endpoints=endpoints,
            ),
        )

    def _rewrite_files(self, entry: Entry) -> None:
        if entry.container.state.pid:
            files.write_files(self._context, entry.container)

    def _passes(self, network: Network, filters: Filters) -> bool:
        tests: dict[str, _Test] = {
            "id": network.id.startswith,
            "name": lambda value: value in network.name,
            "driver": lambda value: network.driver == value,
            "scope": lambda value: value == "local",
            "type": lambda value: (value == "builtin") == (network.name in _PREDEFINED),
            "dangling": lambda value: self._dangles(network) == (value in ("true", "1")),
        }
        for name, values in filters.items():
            if name in tests and values and not any(tests[name](value) for value in values):
                return False
        return has_labels(network.labels, filters)

    def _dangles(self, network: Network) -> bool:
        return network.name not in _PREDEFINED and not any(
            endpoint.network_id == network.id
            for entry in self._context.store
            for endpoint in entry.container.endpoints.values()
        )

    def _tell(self, action: str, network: Network) -> None:
        self._context.events.emit(
            "network", action, network.id, {"name": network.name, "type": network.driver}
        )
