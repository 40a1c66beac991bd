"""Networks between wire and engine."""

from boxship.api.translate.times import rfc3339
from boxship.engine.values import NetworkDetails
from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.model.network import IpamPool, Network, NetworkRequest
from boxship.wire import network as wire


def request(body: wire.NetworkCreateRequest) -> NetworkRequest:
    """What a create request asks for.

    Raises:
        InvalidArgumentError: there is no name.
        UnsupportedError: swarm's kinds of network, or a foreign address manager.
    """
    if not body.name:
        raise InvalidArgumentError("network name cannot be empty")
    for field in ("ingress", "config_only", "config_from"):
        if getattr(body, field):
            raise UnsupportedError(f"network option {field} is not supported by this engine")
    if body.scope not in ("", "local"):
        raise UnsupportedError(f"network scope {body.scope!r} is not supported by this engine")
    ipam = body.ipam or wire.Ipam()
    if ipam.driver not in ("", "default"):
        raise UnsupportedError(f"IPAM driver {ipam.driver!r} is not supported by this engine")
    pools = tuple(
        IpamPool(
            pool.subnet,
            pool.ip_range,
            pool.gateway,
            dict(pool.auxiliary or pool.aux_address or {}),
        )
        for pool in ipam.config or ()
    )
    return NetworkRequest(
        name=body.name,
        driver=body.driver or "bridge",
        pools=pools,
        internal=body.internal,
        attachable=body.attachable,
        enable_ipv6=bool(body.enable_ipv6),
        labels=dict(body.labels or {}),
        options=dict(body.options or {}),
        ipam_options=dict(ipam.options or {}),
    )


def inspect(details: NetworkDetails) -> wire.Network:
    """Answer to `GET /networks/{id}`."""
    document = listed(details.network)
    for container in details.containers:
        for endpoint in container.endpoints.values():
            if endpoint.network_id == details.network.id:
                document.containers[container.id] = wire.NetworkContainer(
                    container.name,
                    endpoint.endpoint_id,
                    endpoint.mac_address,
                    _cidr(endpoint.ipv4_address, endpoint.ipv4_prefix),
                    _cidr(endpoint.ipv6_address, endpoint.ipv6_prefix),
                )
    return document


def listed(network: Network) -> wire.Network:
    """One of the answer to `GET /networks`."""
    return wire.Network(
        name=network.name,
        id=network.id,
        created=rfc3339(network.created),
        scope="local",
        driver=network.driver,
        enable_ipv4=True,
        enable_ipv6=network.enable_ipv6,
        ipam=wire.Ipam("default", network.ipam_options or None, [_pool(p) for p in network.pools]),
        internal=network.internal,
        attachable=network.attachable,
        ingress=False,
        config_from={"Network": ""},
        config_only=False,
        containers={},
        options=network.options,
        labels=network.labels,
    )


def _pool(pool: IpamPool) -> wire.IpamConfig:
    return wire.IpamConfig(pool.subnet, pool.ip_range, pool.gateway, pool.auxiliary or None)


def _cidr(address: str, prefix: int) -> str:
    return f"{address}/{prefix}" if address else ""
