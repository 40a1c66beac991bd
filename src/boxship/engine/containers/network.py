"""A container's connections: which networks it joins when it starts, and its published ports."""

import os
from contextlib import AsyncExitStack

import msgspec

from boxship.engine.context import Context
from boxship.engine.sandboxes.modes import modes_of
from boxship.errors import InvalidArgumentError
from boxship.model.container import (
    Container,
    ContainerConfig,
    Endpoint,
    EndpointRequest,
    HostConfig,
    PortBinding,
    PublishedPort,
)
from boxship.network import Sandbox

_SHORT = 12
_BRIDGE = "bridge"


def wanted_networks(host: HostConfig, config: ContainerConfig) -> dict[str, EndpointRequest]:
    """Networks to join by name, the one of the network mode first; none when it is shared."""
    mode = modes_of(host).network
    if mode.is_shared or config.network_disabled:
        return {}
    main = mode.other if mode.kind == "named" else mode.kind
    aliases = {"default": main, host.network_mode: main}
    wanted = {main: EndpointRequest()}
    for name, request in host.networks.items():
        wanted[aliases.get(name, name)] = request
    return wanted


def idle_endpoints(
    context: Context, host: HostConfig, config: ContainerConfig
) -> dict[str, Endpoint]:
    """The connections of a container that does not run: no addresses yet."""
    found: dict[str, Endpoint] = {}
    for name, request in wanted_networks(host, config).items():
        network = context.networks.get(name)
        found[network.name] = Endpoint(
            network_id=network.id,
            network_name=network.name,
            endpoint_id="",
            aliases=request.aliases,
            links=request.links,
            requested_ipv4=request.ipv4_address,
        )
    return found


async def join_networks(
    context: Context, container: Container, pid: int, undo: AsyncExitStack
) -> tuple[dict[str, Endpoint], tuple[PublishedPort, ...]]:
    """Connect a new process's network namespace, and publish its ports.

    Raises:
        NotFoundError: a network is gone.
        ConflictError, ForbiddenError: a port or an address is taken.
    """
    wanted = wanted_networks(container.host, container.config)
    mode = modes_of(container.host).network
    if mode.kind != "named":
        return idle_endpoints(context, container.host, container.config), ()
    endpoints: dict[str, Endpoint] = {}
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        for name, request in wanted.items():
            endpoint = await join(context, container, namespace, name, request)
            endpoints[endpoint.network_name] = endpoint
            undo.push_async_callback(context.networks.leave, container.id, endpoint)
        ports = await _publish(context, container, endpoints, undo)
    finally:
        os.close(namespace)
    return endpoints, ports


async def join(
    context: Context, container: Container, namespace: int, name: str, request: EndpointRequest
) -> Endpoint:
    """Connect a network namespace to one network and tell it."""
    network = context.networks.get(name)
    if name == _BRIDGE and request.aliases:
        raise InvalidArgumentError(
            "invalid endpoint settings: network-scoped aliases are only supported for "
            "user-defined networks"
        )
    mac = container.config.mac_address
    if mac and not request.mac_address and name == next(iter(wanted_networks(
        container.host, container.config
    ))):
        request = msgspec.structs.replace(request, mac_address=mac)
    sandbox = Sandbox(
        container.id, container.name, container.config.hostname, namespace, {}
    )
    aliases = tuple(dict.fromkeys((*request.aliases, container.id[:_SHORT])))
    endpoint = await context.networks.join(sandbox, network.id, request, aliases)
    _tell(context, "connect", endpoint, container.id, network.driver)
    return endpoint


async def leave(context: Context, container_id: str, endpoint: Endpoint) -> None:
    """Disconnect, and tell it."""
    await context.networks.leave(container_id, endpoint)
    _tell(context, "disconnect", endpoint, container_id, "bridge")


def _tell(
    context: Context, action: str, endpoint: Endpoint, container_id: str, driver: str
) -> None:
    context.events.emit(
        "network",
        action,
        endpoint.network_id,
        {"container": container_id, "name": endpoint.network_name, "type": driver},
    )


def bindings(container: Container) -> list[PortBinding]:
    """Ports to publish: those asked for, and with -P every other exposed one."""
    host = container.host
    chosen = list(host.port_bindings)
    if host.publish_all_ports:
        done = {(binding.container_port, binding.protocol) for binding in chosen}
        chosen += [
            PortBinding(port, protocol)
            for port, protocol in exposed(container.config)
            if (port, protocol) not in done
        ]
    return chosen


def exposed(config: ContainerConfig) -> list[tuple[int, str]]:
    """Exposed ports and their protocols, ranges (`8000-8010/tcp`) spread."""
    found: list[tuple[int, str]] = []
    for text in config.exposed_ports:
        span, _, protocol = text.partition("/")
        first, dash, last = span.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise InvalidArgumentError(f"invalid port specification: {text!r}")
        ports = range(int(first), int(last or first) + 1)
        found.extend((port, protocol or "tcp") for port in ports)
    return found


async def _publish(
    context: Context, container: Container, endpoints: dict[str, Endpoint], undo: AsyncExitStack
) -> tuple[PublishedPort, ...]:
    chosen = bindings(container)
    published: list[PublishedPort] = []
    address = next((e.ipv4_address for e in endpoints.values() if e.ipv4_address), "")
    if chosen and address:
        undo.push_async_callback(context.networks.unpublish, container.id)
        published = list(await context.networks.publish(container.id, address, chosen))
    done = {(port.container_port, port.protocol) for port in published}
    published += [
        PublishedPort(port, protocol)
        for port, protocol in exposed(container.config)
        if (port, protocol) not in done
    ]
    return tuple(published)
