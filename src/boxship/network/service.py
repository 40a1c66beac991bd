"""The network service: what the engine asks of networks.

Kernel calls take well under a millisecond each and are made in the event loop; only what waits for
the kernel (removing links) goes to a thread.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from boxship.errors import ConflictError, ForbiddenError, InternalError, NotFoundError
from boxship.kernel import netlink
from boxship.kernel.nftables import Nftables
from boxship.log import create_task, debug, warn
from boxship.model.container import Endpoint, EndpointRequest, PortBinding, PublishedPort
from boxship.model.network import Network, NetworkRequest
from boxship.network import catalog, dns
from boxship.network.catalog import Catalog, flag
from boxship.network.endpoints import bare_endpoint, free_link_name, plan_endpoint
from boxship.network.firewall import Firewall, Segment
from boxship.network.host import HostLinks, delete_links, enable_forwarding, forget_flows
from boxship.network.membership import Member, Membership
from boxship.network.name_service import NameService
from boxship.network.ports import PortAllocator
from boxship.network.publishing import Destination, Publisher
from boxship.network.sandbox import Sandbox, add_default_route, configure, raise_loopback
from boxship.network.settings import NetworkSettings
from boxship.storage.records.database import Database
from boxship.storage.records.records import Records

# In a class that has a method `list` the word means that method.
_Networks = list[Network]
_Ports = list[PublishedPort]
# A dead container's namespace takes its links along; what is left after this long is removed.
_SWEEP_AFTER = 2.0


class _Machinery(NamedTuple):
    """What exists while the service runs."""

    route: netlink.RouteSocket
    nft: Nftables
    links: HostLinks
    firewall: Firewall
    publisher: Publisher


class NetworkService:
    """Networks of one daemon, in the network namespace it is started in.

    Life cycle: `start`, then `adopt` for each running container, then `reconcile`; from then on
    `reserve` or `join`, `publish`, and at the end of a container `unpublish` and `leave`. `stop`
    leaves bridges, rules and cables to the next daemon.

    Args:
        database: where networks are recorded.
        settings: the operator's choices.
        clock: nanoseconds since the epoch.
    """

    def __init__(
        self,
        database: Database,
        settings: NetworkSettings | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._settings = settings or NetworkSettings()
        self._catalog = Catalog(Records(database, "networks"), self._settings, clock)
        self._membership = Membership()
        self._names = NameService(self._upstream)
        self._running: _Machinery | None = None
        self._mtus: dict[str, int] = {}
        self._released: set[str] = set()
        self._sweep: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Make or restore networks, rules and forwarding. May be repeated.

        Raises:
            KernelError: the host's networking cannot be changed.
        """
        if self._running is not None:
            return
        route = netlink.RouteSocket()
        nft = Nftables()
        firewall = Firewall(nft, self._settings.table)
        publisher = Publisher(PortAllocator(), firewall, forget_flows)
        self._running = _Machinery(route, nft, HostLinks(route), firewall, publisher)
        self._catalog.load(self._running.links.used_subnets())
        firewall.ensure()
        for network in self._catalog.all():
            self._open(network)
        if self._settings.ip_forward:
            enable_forwarding()
        firewall.warn_of_drops()

    async def stop(self) -> None:
        """Close sockets; containers keep their connections, ports and addresses."""
        if self._running is None:
            return
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._names.close()
        self._running.publisher.close()
        self._running.nft.close()
        self._running.route.close()
        self._running = None

    async def reconcile(self) -> None:
        """Remove what nobody adopted: cables of dead containers, and rules for their ports."""
        running = self._machinery
        bridges = {network.link for network in self._catalog.bridges()}
        listed = running.links.links()
        ours = {link.ifindex for link in listed if link.name in bridges}
        expected = self._membership.host_links()
        stale = [
            link.name
            for link in listed
            if link.master in ours and link.kind == "veth" and link.name not in expected
        ]
        stale += [
            link.name
            for link in listed
            if link.kind == "bridge" and link.alias == self._alias and link.name not in bridges
        ]
        segments = [self._segment(network) for network in self._catalog.bridges()]
        running.firewall.replace(segments, running.publisher.forwardings())
        if stale:
            await asyncio.to_thread(delete_links, stale)

    async def create(self, request: NetworkRequest) -> Network:
        """Make a network. Errors as in `Catalog.create`.

        Raises:
            KernelError: the bridge cannot be made; nothing is left of it.
        """
        network = self._catalog.create(request, self._machinery.links.used_subnets())
        try:
            self._open(network)
        except BaseException:
            self._membership.close(network.id)
            self._catalog.forget(network.id)
            await asyncio.to_thread(delete_links, [network.link])
            raise
        return network

    async def remove(self, name_or_id: str) -> Network:
        """Remove a network that no running container uses.

        Raises:
            NotFoundError: there is none.
            ForbiddenError: it is predefined or in use.
        """
        network = self._catalog.get(name_or_id)
        if network.name in catalog.PREDEFINED:
            raise ForbiddenError(f"{network.name} is a pre-defined network and cannot be removed")
        members = self._membership.members(network.id)
        if members:
            names = ", ".join(member.sandbox.name for member in members.values())
            raise ForbiddenError(
                f"error while removing network: network {network.name} id {network.id} has "
                "active endpoints",
                hint=f"disconnect or stop {names}",
            )
        self._membership.close(network.id)
        self._machinery.firewall.remove_segment(self._segment(network))
        await asyncio.to_thread(delete_links, [network.link])
        self._catalog.forget(network.id)
        return network

    def get(self, name_or_id: str) -> Network:
        """A network by id, name or beginning of its id.

        Raises:
            NotFoundError: there is none.
            InvalidArgumentError: several ids begin so.
        """
        return self._catalog.get(name_or_id)

    def list(self) -> _Networks:
        return self._catalog.all()

    async def prune(self, matches: Callable[[Network], bool] = lambda _: True) -> _Networks:
        """Remove user networks that no running container uses and that match."""
        doomed = [
            network
            for network in self._catalog.all()
            if network.name not in catalog.PREDEFINED
            and not self._membership.members(network.id)
            and matches(network)
        ]
        return [await self.remove(network.id) for network in doomed]

    def containers(self, network_id: str) -> dict[str, Endpoint]:
        """Endpoints of running containers on a network, by container id."""
        members = self._membership.members(network_id)
        return {key: member.endpoint for key, member in members.items() if member.joined}

    def reserve(
        self,
        sandbox: Sandbox,
        name_or_id: str,
        request: EndpointRequest | None = None,
        aliases: Sequence[str] = (),
    ) -> Endpoint:
        """Take an address before the container has a namespace; `join` uses it, `leave` frees it.

        Args:
            sandbox: whose it is; without a namespace yet.
            name_or_id: of the network.
            request: what the user chose for this network.
            aliases: more names, which the engine gives on user networks.

        Raises:
            NotFoundError: there is no such network.
            ConflictError: the container is on it already.
            BoxshipError: the request cannot be fulfilled, as in `plan_endpoint`.
        """
        network = self._catalog.get(name_or_id)
        if self._membership.find(network.id, sandbox.container_id):
            raise ConflictError(
                f"endpoint with name {sandbox.name} already exists in network {network.name}"
            )
        wish = request or EndpointRequest()
        if network.name != "bridge":
            # The default network has no names, so there these say nothing.
            wish = msgspec.structs.replace(wish, aliases=(*wish.aliases, *aliases))
        endpoint = self._plan(network, sandbox, wish)
        self._membership.put(Member(sandbox, endpoint, joined=False))
        return endpoint

    async def join(
        self,
        sandbox: Sandbox,
        name_or_id: str,
        request: EndpointRequest | None = None,
        aliases: Sequence[str] = (),
    ) -> Endpoint:
        """Connect a network namespace: cable, address, route, names. All or nothing.

        Raises:
            KernelError: the kernel refused a step.
            BoxshipError: as in `reserve`.
        """
        network = self._catalog.get(name_or_id)
        member = self._membership.find(network.id, sandbox.container_id)
        if member is None or member.joined:
            self.reserve(sandbox, name_or_id, request, aliases)
            member = self._membership.find(network.id, sandbox.container_id)
        if member is None:
            raise InternalError(f"container {sandbox.name} lost its place on {network.name}")
        try:
            await self._connect(network, sandbox, member.endpoint)
        except BaseException:
            await self.leave(sandbox.container_id, member.endpoint)
            raise
        member.joined = True
        return member.endpoint

    async def leave(self, container_id: str, endpoint: Endpoint, *, netns: int = -1) -> None:
        """Take a container off a network; does nothing when it is not on it.

        Args:
            container_id: whose endpoint it is.
            endpoint: what `join` returned.
            netns: descriptor of the namespace when the container runs on, so that the cable is cut
                now; a namespace that ends takes its cables along.
        """
        member = self._membership.take(endpoint.network_id, container_id)
        if member is None:
            return
        left = self._membership.of_container(container_id)
        self._names.remove(endpoint, container_id, left)
        if not endpoint.host_link:
            return
        if netns >= 0:
            await asyncio.to_thread(delete_links, [endpoint.host_link])
            self._reroute(netns, member, left)
        else:
            self._released.add(endpoint.host_link)
            self._schedule_sweep()

    async def publish(
        self, container_id: str, address: str, bindings: Sequence[PortBinding]
    ) -> _Ports:
        """Make ports of a container reachable on the host, all or none.

        Args:
            container_id: whose ports they are.
            address: of the endpoint to forward to; empty for the one that leads outside.
            bindings: what to publish.

        Raises:
            NotFoundError: the container has no such address.
            BoxshipError: a port cannot be had; the text begins `driver failed programming
                external connectivity on endpoint NAME (ID): `.
        """
        if not bindings:
            return []
        member = self._membership.by_address(container_id, address)
        if member is None:
            raise NotFoundError(
                f"container {container_id} has no address {address or 'to publish'}"
            )
        network = self._catalog.get(member.endpoint.network_id)
        host_ip = network.options.get(catalog.HOST_BINDING) or self._settings.host_ip
        destination = Destination(
            container_id,
            member.sandbox.name,
            member.endpoint.endpoint_id,
            member.endpoint.ipv4_address,
            host_ip,
        )
        published = self._machinery.publisher.publish(destination, bindings)
        self._machinery.links.hairpin(member.endpoint.host_link)
        return published

    async def unpublish(self, container_id: str) -> None:
        self._machinery.publisher.unpublish(container_id)

    async def adopt(
        self,
        sandbox: Sandbox,
        endpoints: Sequence[Endpoint],
        ports: Sequence[PublishedPort] = (),
    ) -> None:
        """Take over a container that runs since an earlier daemon: addresses, ports, names.

        Args:
            sandbox: with an open descriptor of its namespace.
            endpoints: what `join` returned then.
            ports: what `publish` returned then.
        """
        for endpoint in endpoints:
            self._membership.adopt(Member(sandbox, endpoint, joined=True))
        bridged = [endpoint for endpoint in endpoints if endpoint.ipv4_address]
        reachable = [endpoint for endpoint in bridged if endpoint.gateway] or bridged
        if reachable:
            address = reachable[0].ipv4_address
            self._machinery.publisher.adopt(sandbox.container_id, address, ports)
        for endpoint in bridged:
            try:
                await self._names.add(sandbox, endpoint, self._has_outside(sandbox.container_id))
            except OSError as failure:
                # It may be ending right now; whatever it is, the other containers matter more.
                warn(f"container {sandbox.name} runs without its resolver: {failure}")

    def resolv_conf(self, wishes: dns.ResolvConf, *, user_network: bool) -> str:
        """The text of resolv.conf for a container with its own `--dns` options."""
        base = dns.override(self._base_dns(), wishes)
        made = dns.for_user_network(base) if user_network else dns.for_default_network(base)
        return made.text()

    def use_servers(self, container_id: str, servers: Sequence[str]) -> None:
        """Let the embedded resolver ask these for a container (`--dns`)."""
        self._names.use_servers(container_id, servers)

    @property
    def _alias(self) -> str:
        """What bridges of this daemon are marked with, should their records be lost."""
        return f"bridge of {self._settings.table}"

    @property
    def _machinery(self) -> _Machinery:
        if self._running is None:
            raise InternalError("the network service is not started")
        return self._running

    def _open(self, network: Network) -> None:
        """Make what a network consists of on the host, or restore what is missing."""
        self._membership.open(network)
        if network.driver == "bridge":
            self._open_bridge(network)

    def _open_bridge(self, network: Network) -> None:
        mtu = int(network.options.get(catalog.MTU) or self._settings.mtu)
        links = self._machinery.links
        mtu = self._mtus[network.link] = mtu or links.uplink_mtu()
        prefix = self._membership.pool(network.id).subnet.prefixlen
        address = (network.pools[0].gateway, prefix)
        links.ensure_bridge(network.link, address, mtu, self._alias)
        self._machinery.firewall.add_segment(self._segment(network))

    @staticmethod
    def _segment(network: Network) -> Segment:
        return Segment(
            network.link,
            network.pools[0].subnet,
            internal=network.internal,
            masquerade=flag(network.options, catalog.MASQUERADE, default=True),
            icc=flag(network.options, catalog.ICC, default=True),
        )

    def _plan(self, network: Network, sandbox: Sandbox, request: EndpointRequest) -> Endpoint:
        if network.driver != "bridge":
            return bare_endpoint(network)
        pool = self._membership.pool(network.id)
        others = self._membership.of_container(sandbox.container_id)
        link = free_link_name(member.endpoint.container_link for member in others)
        return plan_endpoint(network, pool, sandbox, request, link)

    async def _connect(self, network: Network, sandbox: Sandbox, endpoint: Endpoint) -> None:
        if network.driver == "null":
            raise_loopback(sandbox.netns)
        if network.driver == "bridge":
            self._plug(network, sandbox, endpoint)
            outside = bool(endpoint.gateway) or self._has_outside(sandbox.container_id)
            await self._names.add(sandbox, endpoint, outside)

    def _plug(self, network: Network, sandbox: Sandbox, endpoint: Endpoint) -> None:
        links = self._machinery.links
        if not links.index_of(network.link):
            # Somebody removed the bridge: other containers lost it too, this one need not fail.
            self._open_bridge(network)
        pair = netlink.VethPair(
            endpoint.host_link,
            links.index_of(network.link),
            self._mtus[network.link],
            endpoint.container_link,
            sandbox.netns,
            endpoint.mac_address,
        )
        links.add_veth(pair, isolated=not flag(network.options, catalog.ICC, default=True))
        first = not self._has_outside(sandbox.container_id)
        configure(sandbox, endpoint, default_route=bool(endpoint.gateway) and first)
        links.settle(endpoint.host_link, network.link)

    def _has_outside(self, container_id: str) -> bool:
        members = self._membership.of_container(container_id)
        return any(member.joined and member.endpoint.gateway for member in members)

    @staticmethod
    def _reroute(netns: int, gone: Member, left: Sequence[Member]) -> None:
        """Lead a running container's default route through what is left, if the old one went."""
        names = [each.endpoint.container_link for each in left if each.endpoint.gateway]
        if not gone.endpoint.gateway or not names or names[0] < gone.endpoint.container_link:
            return
        heir = next(each for each in left if each.endpoint.gateway)
        try:
            add_default_route(netns, heir.endpoint)
        except OSError as failure:
            debug(f"container {gone.sandbox.name} keeps its default route: {failure}")

    def _base_dns(self) -> dns.ResolvConf:
        settings = self._settings
        wishes = dns.ResolvConf(settings.dns, settings.dns_search, settings.dns_options)
        return dns.override(dns.host_configuration(), wishes)

    def _upstream(self) -> Sequence[str]:
        return dns.upstream_servers(self._base_dns())

    def _schedule_sweep(self) -> None:
        if self._sweep is None:
            loop = asyncio.get_running_loop()
            self._sweep = loop.call_later(_SWEEP_AFTER, self._start_sweep)

    def _start_sweep(self) -> None:
        self._sweep = None
        released, self._released = sorted(self._released), set()
        create_task(asyncio.to_thread(delete_links, released), "remove left-over links")
