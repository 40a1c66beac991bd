"""Endpoints: a container's place on a network, from the request to what was made."""

import os
from collections.abc import Iterable

from boxship.errors import ExhaustedError, InvalidArgumentError
from boxship.model.container import Endpoint, EndpointRequest
from boxship.model.network import Network
from boxship.network.host import mac_of
from boxship.network.ipam import AddressPool
from boxship.network.names import dns_names
from boxship.network.sandbox import Sandbox


def plan_endpoint(
    network: Network,
    pool: AddressPool,
    sandbox: Sandbox,
    request: EndpointRequest,
    container_link: str,
) -> Endpoint:
    """Check a request and take an address for it.

    Raises:
        InvalidArgumentError: an address or name is not possible on this network.
        ForbiddenError: the address is taken.
        ExhaustedError: no address is left.
    """
    default = network.name == "bridge"
    _check(request, default=default)
    mac = _checked_mac(request.mac_address)
    address = _address(network, pool, request.ipv4_address)
    endpoint_id = os.urandom(32).hex()
    aliases = tuple(dict.fromkeys(request.aliases))
    names = dns_names(sandbox.name, sandbox.container_id, sandbox.hostname, aliases)
    return Endpoint(
        network_id=network.id,
        network_name=network.name,
        endpoint_id=endpoint_id,
        ipv4_address=address,
        ipv4_prefix=pool.subnet.prefixlen,
        gateway="" if network.internal else network.pools[0].gateway,
        mac_address=mac or mac_of(address),
        aliases=aliases,
        dns_names=() if default else names,
        links=request.links,
        requested_ipv4=request.ipv4_address,
        # 15 bytes, the most a link name may have.
        host_link=f"veth{endpoint_id[:11]}",
        container_link=container_link,
    )


def bare_endpoint(network: Network) -> Endpoint:
    """The endpoint of a container that uses the host's network, or none."""
    return Endpoint(network.id, network.name, os.urandom(32).hex())


def free_link_name(taken: Iterable[str]) -> str:
    """The next `ethN` in a container that has these."""
    names = set(taken)
    return next(f"eth{n}" for n in range(len(names) + 1) if f"eth{n}" not in names)


def _check(request: EndpointRequest, *, default: bool) -> None:
    if request.ipv6_address:
        raise InvalidArgumentError(
            f"invalid IPv6 address {request.ipv6_address}: the network has no IPv6 subnet"
        )
    if not default:
        return
    if request.ipv4_address:
        raise InvalidArgumentError(
            "user specified IP address is supported on user defined networks only"
        )
    if request.aliases:
        raise InvalidArgumentError(
            "network-scoped alias is supported only for containers in user defined networks"
        )


def _checked_mac(text: str) -> str:
    if not text:
        return ""
    parts = text.lower().replace("-", ":").split(":")
    if len(parts) != 6 or not all(_is_octet(part) for part in parts):
        raise InvalidArgumentError(f"{text} is not a valid mac address")
    if int(parts[0], 16) & 1:
        raise InvalidArgumentError(f"{text} is not a valid mac address: it is a group address")
    return ":".join(parts)


def _is_octet(text: str) -> bool:
    return len(text) == 2 and all(digit in "0123456789abcdef" for digit in text)


def _address(network: Network, pool: AddressPool, wanted: str) -> str:
    if wanted:
        return pool.claim(wanted)
    try:
        return pool.allocate()
    except ExhaustedError as failure:
        raise ExhaustedError(
            f"no available IPv4 addresses on this network's address pools: "
            f"{network.name} ({network.id})",
            hint="disconnect containers, or make a network with a larger subnet",
        ) from failure
