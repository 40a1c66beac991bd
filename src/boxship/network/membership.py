"""Which containers are on which networks, with which addresses: the truth while they run."""

from boxship.errors import BoxshipError
from boxship.log import warn
from boxship.model.container import Endpoint
from boxship.model.network import Network
from boxship.network.ipam import AddressPool
from boxship.network.sandbox import Sandbox


class Member:
    """A container on a network. `joined` is false while only the address is reserved."""

    __slots__ = ("endpoint", "joined", "sandbox")

    def __init__(self, sandbox: Sandbox, endpoint: Endpoint, *, joined: bool) -> None:
        self.sandbox = sandbox
        self.endpoint = endpoint
        self.joined = joined


class Membership:
    """Members by network and container, and the address pools of networks."""

    def __init__(self) -> None:
        self._members: dict[str, dict[str, Member]] = {}
        self._pools: dict[str, AddressPool] = {}

    def open(self, network: Network) -> None:
        self._members.setdefault(network.id, {})
        if network.pools:
            self._pools[network.id] = AddressPool(network.pools[0])

    def close(self, network_id: str) -> None:
        self._members.pop(network_id, None)
        self._pools.pop(network_id, None)

    def pool(self, network_id: str) -> AddressPool:
        return self._pools[network_id]

    def members(self, network_id: str) -> dict[str, Member]:
        return self._members.get(network_id, {})

    def find(self, network_id: str, container_id: str) -> Member | None:
        return self._members.get(network_id, {}).get(container_id)

    def of_container(self, container_id: str) -> list[Member]:
        """Its memberships in the order in which it joined."""
        found = [each.get(container_id) for each in self._members.values()]
        present = [member for member in found if member is not None]
        return sorted(present, key=lambda member: member.endpoint.container_link)

    def by_address(self, container_id: str, address: str = "") -> Member | None:
        """The container's membership with an address, or else the one that leads outside."""
        bridged = [each for each in self.of_container(container_id) if each.endpoint.ipv4_address]
        if address:
            return next((each for each in bridged if each.endpoint.ipv4_address == address), None)
        return next((each for each in bridged if each.endpoint.gateway), None)

    def put(self, member: Member) -> None:
        network_id = member.endpoint.network_id
        self._members.setdefault(network_id, {})[member.sandbox.container_id] = member

    def take(self, network_id: str, container_id: str) -> Member | None:
        """Remove a member and free its address."""
        member = self._members.get(network_id, {}).pop(container_id, None)
        if member is not None and member.endpoint.ipv4_address and network_id in self._pools:
            self._pools[network_id].release(member.endpoint.ipv4_address)
        return member

    def adopt(self, member: Member) -> None:
        """Enter a container that runs already; its address is taken whatever the pool thinks."""
        endpoint = member.endpoint
        pool = self._pools.get(endpoint.network_id)
        if pool is not None and endpoint.ipv4_address:
            try:
                pool.claim(endpoint.ipv4_address)
            except BoxshipError as failure:
                warn(f"adopting container {member.sandbox.container_id[:12]}: {failure}")
        self.put(member)

    def host_links(self) -> set[str]:
        return {
            member.endpoint.host_link
            for members in self._members.values()
            for member in members.values()
            if member.endpoint.host_link
        }
