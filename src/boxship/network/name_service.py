"""Names for containers on user networks: the directory, and a resolver for each namespace."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from boxship.log import warn
from boxship.model.container import Endpoint
from boxship.network.membership import Member
from boxship.network.names import Directory
from boxship.network.sandbox import Sandbox

if TYPE_CHECKING:
    from boxship.network.forwarder import Forwarder
    from boxship.network.resolver import Resolver


class NameService:
    """Starts a resolver when a container joins its first user network, ends it with the last.

    Args:
        upstream: name servers to ask for what is not in the directory.
    """

    def __init__(self, upstream: Callable[[], Sequence[str]]) -> None:
        self._upstream = upstream
        self._directory = Directory()
        self._resolvers: dict[str, Resolver] = {}
        self._servers: dict[str, tuple[str, ...]] = {}
        self._outside: dict[str, bool] = {}
        self._forwarder: Forwarder | None = None

    async def add(self, sandbox: Sandbox, endpoint: Endpoint, outside: bool) -> None:
        """Enter a container's names on a network; nothing to do on the default network.

        Args:
            sandbox: the container.
            endpoint: its place on the network.
            outside: some network of it leads outside, so names of the outside are looked up.

        Raises:
            KernelError: its resolver cannot be set up.
        """
        if not endpoint.dns_names:
            return
        key = sandbox.container_id
        network = (endpoint.network_id, endpoint.network_name)
        self._directory.add(network, key, endpoint.ipv4_address, endpoint.dns_names)
        self._directory.add_links(key, endpoint.links)
        self._outside[key] = outside
        if key not in self._resolvers:
            resolver = self._make(key)
            self._resolvers[key] = resolver
            try:
                await resolver.start(sandbox.netns)
            except BaseException:
                self._end(key)
                raise

    def remove(self, endpoint: Endpoint, container_id: str, left: Sequence[Member]) -> None:
        """Strike a container's names on a network; the last one ends its resolver."""
        self._directory.remove(endpoint.network_id, container_id)
        if any(member.endpoint.dns_names for member in left):
            self._outside[container_id] = any(member.endpoint.gateway for member in left)
            return
        self._end(container_id)
        self._servers.pop(container_id, None)

    def use_servers(self, container_id: str, servers: Sequence[str]) -> None:
        if servers:
            self._servers[container_id] = tuple(servers)

    def close(self) -> None:
        for resolver in self._resolvers.values():
            resolver.close()
        self._resolvers.clear()

    def _end(self, container_id: str) -> None:
        resolver = self._resolvers.pop(container_id, None)
        if resolver is not None:
            resolver.close()
        self._directory.forget_links(container_id)
        self._outside.pop(container_id, None)

    def _make(self, container_id: str) -> "Resolver":
        # dnslib takes 15 ms to import: a daemon without user networks does without it.
        from boxship.network.answers import LocalAnswers  # noqa: PLC0415
        from boxship.network.forwarder import Forwarder  # noqa: PLC0415
        from boxship.network.resolver import Resolver  # noqa: PLC0415

        if self._forwarder is None:
            self._forwarder = Forwarder()
        answers = LocalAnswers(
            lambda name: self._directory.addresses(container_id, name),
            lambda address: self._directory.name_of(container_id, address),
        )
        return Resolver(answers, self._forwarder, lambda: self._servers_of(container_id))

    def _servers_of(self, container_id: str) -> Sequence[str]:
        if not self._outside.get(container_id):
            return ()
        servers = self._servers.get(container_id)
        if servers:
            return servers
        try:
            return self._upstream()
        except OSError as failure:
            warn(f"cannot read the host's name servers: {failure}")
            return ()
