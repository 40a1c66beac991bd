"""Addresses: which subnet a network gets, and which address an endpoint.

Allocations live in memory: they are those of running containers, which a new daemon adopts.
"""

from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

from boxship.errors import ExhaustedError, ForbiddenError, InvalidArgumentError
from boxship.model.network import IpamPool
from boxship.network.settings import AddressRange, subnets

_OVERLAP = "Pool overlaps with other one on this address space"


def choose_subnet(ranges: tuple[AddressRange, ...], taken: Iterable[IPv4Network]) -> IPv4Network:
    """The first subnet of the ranges that touches nothing that is taken.

    Raises:
        ExhaustedError: there is none.
    """
    blocked = list(taken)
    for base, size in subnets(ranges):
        for candidate in base.subnets(new_prefix=size):
            if not any(candidate.overlaps(other) for other in blocked):
                return candidate
    raise ExhaustedError(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to "
        "assign to the network",
        hint="remove networks that are not used, or name a subnet",
    )


def complete_pool(pool: IpamPool, taken: Iterable[IPv4Network]) -> IpamPool:
    """Check a pool that a user described and fill in its gateway.

    Raises:
        InvalidArgumentError: an address is no address, or lies outside the subnet.
        ForbiddenError: the subnet overlaps one that is taken.
    """
    subnet = parse_subnet(pool.subnet)
    if any(subnet.overlaps(other) for other in taken):
        raise ForbiddenError(_OVERLAP, hint="choose another --subnet")
    if pool.ip_range and not parse_subnet(pool.ip_range, strict=False).subnet_of(subnet):
        raise InvalidArgumentError(
            f"invalid ip-range {pool.ip_range}: it is not inside subnet {subnet}"
        )
    gateway = pool.gateway or str(subnet.network_address + 1)
    for what, address in (("gateway", gateway), *pool.auxiliary.items()):
        if parse_address(address) not in subnet:
            raise InvalidArgumentError(
                f"invalid {what} {address}: it is not inside subnet {subnet}"
            )
    return IpamPool(str(subnet), pool.ip_range, gateway, pool.auxiliary)


def parse_subnet(text: str, *, strict: bool = True) -> IPv4Network:
    try:
        network = IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise InvalidArgumentError(f"invalid subnet {text}: not an IPv4 CIDR address") from None
    if "/" not in text or network.prefixlen > 30:
        raise InvalidArgumentError(f"invalid subnet {text}: no room for a gateway and a container")
    if strict and str(network) != text:
        raise InvalidArgumentError(f"invalid subnet {text}: it should be {network}")
    return network


def parse_address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except AddressValueError:
        raise InvalidArgumentError(f"invalid IPv4 address: {text}") from None


class AddressPool:
    """The addresses of one network.

    They are handed out one after the other, starting over at the end, so that an address rests
    before it is used again: neighbours and connection tracking forget the old owner meanwhile.
    """

    def __init__(self, pool: IpamPool) -> None:
        self.subnet = IPv4Network(pool.subnet)
        span = IPv4Network(pool.ip_range, strict=False) if pool.ip_range else self.subnet
        self._first = int(span.network_address)
        self._last = int(span.broadcast_address)
        self._next = self._first
        self._taken = {int(self.subnet.network_address), int(self.subnet.broadcast_address)}
        self._taken.update(int(IPv4Address(text)) for text in pool.auxiliary.values())
        if pool.gateway:
            self._taken.add(int(IPv4Address(pool.gateway)))

    def allocate(self) -> str:
        """Take the next free address.

        Raises:
            ExhaustedError: all are taken.
        """
        size = self._last - self._first + 1
        for step in range(size):
            candidate = self._first + (self._next - self._first + step) % size
            if candidate not in self._taken:
                self._taken.add(candidate)
                self._next = candidate + 1
                return str(IPv4Address(candidate))
        raise ExhaustedError(f"no available IPv4 addresses in subnet {self.subnet}")

    def claim(self, address: str) -> str:
        """Take a certain address.

        Raises:
            InvalidArgumentError: it is not an address of the subnet.
            ForbiddenError: it is taken.
        """
        wanted = parse_address(address)
        if wanted not in self.subnet:
            raise InvalidArgumentError(
                f"invalid address {address}: it does not belong to subnet {self.subnet}"
            )
        if int(wanted) in self._taken:
            raise ForbiddenError("Address already in use", hint=f"{address} belongs to another")
        self._taken.add(int(wanted))
        return str(wanted)

    def release(self, address: str) -> None:
        self._taken.discard(int(IPv4Address(address)))
