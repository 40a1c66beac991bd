"""A container's connections: which networks it joins when it starts, and its published ports."""

import os
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import msgspec

from boxship.engine.context import Context
from boxship.engine.sandboxes.modes import modes_of
from boxship.errors import ConflictError, InvalidArgumentError
from boxship.model.container import (
    Container,
    ContainerConfig,
    Endpoint,
    EndpointRequest,
    HostConfig,
    PortBinding,
    PublishedPort,
)
from boxship.network.sandbox import Sandbox

INTERFACE_SYSCTLS = ("net.ipv4.conf.eth", "net.ipv6.conf.eth", "net.ipv4.neigh.eth")
"""Settings of interfaces, which exist only when the networks are joined."""

DEFAULT_NETWORK = "bridge"
_PSEUDO = {"host": "host", "none": "null"}


class NamespaceGoneError(ConflictError):
    """A container's process ended before its network namespace could be opened."""


def wanted_networks(
    context: Context, host: HostConfig, config: ContainerConfig
) -> dict[str, EndpointRequest]:
    """Networks that a new container is to join, the one of its network mode first.

    None when it shares another container's. The result replaces the request's own mapping, and
    `network connect` and `disconnect` change it later.

    Raises:
        NotFoundError: one of them, or a container to link to, does not exist.
        InvalidArgumentError: aliases on the default network.
    """
    mode = modes_of(host).network
    if mode.is_shared:
        return {}
    if config.network_disabled:
        return {"none": EndpointRequest()}
    main = context.networks.get(mode.other if mode.kind == "named" else mode.kind).name
    wanted = {main: EndpointRequest()}
    for key, request in host.networks.items():
        chosen = key in ("default", host.network_mode)
        wanted[main if chosen else context.networks.get(key).name] = request
    for link in host.links:
        context.store.find(link.partition(":")[0])
    if main != DEFAULT_NETWORK and host.links:
        # A private name in the network's resolver; on the default network a line in /etc/hosts.
        links = (*wanted[main].links, *host.links)
        wanted[main] = msgspec.structs.replace(wanted[main], links=links)
    if wanted.get(DEFAULT_NETWORK, EndpointRequest()).aliases:
        raise InvalidArgumentError(
            "invalid endpoint settings: network-scoped aliases are only supported for "
            "user-defined networks"
        )
    return wanted


def idle_endpoint(context: Context, name: str, request: EndpointRequest) -> Endpoint:
    """A connection of a container that does not run: no addresses yet."""
    network = context.networks.get(name)
    return Endpoint(
        network_id=network.id,
        network_name=network.name,
        endpoint_id="",
        aliases=request.aliases,
        links=request.links,
        requested_ipv4=request.ipv4_address,
    )


def reserve_networks(
    context: Context, container: Container, undo: AsyncExitStack
) -> dict[str, Endpoint]:
    """Take addresses on every network, before there is a process.

    Raises:
        NotFoundError: a network is gone.
        ForbiddenError: an address is taken.
    """
    endpoints: dict[str, Endpoint] = {}
    sandbox = sandbox_of(container)
    for name, request in container.host.networks.items():
        wish = _with_mac(container, request, first=not endpoints)
        endpoint = context.networks.reserve(sandbox, name, wish)
        endpoints[endpoint.network_name] = endpoint
        undo.push_async_callback(context.networks.leave, container.id, endpoint)
    if container.host.dns:
        context.networks.use_servers(container.id, container.host.dns)
    return endpoints


async def join_networks(
    context: Context, container: Container, pid: int, undo: AsyncExitStack
) -> tuple[PublishedPort, ...]:
    """Connect a new process's network namespace as reserved, and publish its ports.

    Raises:
        ConflictError: a port is taken.
    """
    with network_namespace(pid) as namespace:
        for endpoint in container.endpoints.values():
            await join(context, container, namespace, endpoint.network_id, None)
            undo.push_async_callback(leave, context, container.id, endpoint)
    return await _publish(context, container, undo)


async def join(
    context: Context,
    container: Container,
    namespace: int,
    network_id: str,
    request: EndpointRequest | None,
) -> Endpoint:
    """Connect a network namespace to one network and tell it."""
    sandbox = sandbox_of(container, namespace)
    endpoint = await context.networks.join(sandbox, network_id, request)
    _tell(context, "connect", endpoint, container.id)
    return endpoint


async def leave(
    context: Context, container_id: str, endpoint: Endpoint, namespace: int = -1
) -> None:
    """Disconnect, and tell it; the namespace is given when its process runs on."""
    await context.networks.leave(container_id, endpoint, netns=namespace)
    _tell(context, "disconnect", endpoint, container_id)


@contextmanager
def network_namespace(pid: int) -> Iterator[int]:
    """The network namespace of a process, open for the length of the block.

    Raises:
        NamespaceGoneError: the process has ended.
    """
    try:
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as gone:
        raise NamespaceGoneError(f"process {pid} has ended, and its network with it") from gone
    try:
        yield namespace
    finally:
        os.close(namespace)


def sandbox_of(container: Container, namespace: int = -1) -> Sandbox:
    """How the network service knows a container."""
    sysctls = {
        name: value
        for name, value in container.host.sysctls.items()
        if name.startswith(INTERFACE_SYSCTLS)
    }
    return Sandbox(container.id, container.name, container.config.hostname, namespace, sysctls)


def _with_mac(container: Container, request: EndpointRequest, *, first: bool) -> EndpointRequest:
    mac = container.config.mac_address
    if not (first and mac) or request.mac_address:
        return request
    return msgspec.structs.replace(request, mac_address=mac)


def _tell(context: Context, action: str, endpoint: Endpoint, container_id: str) -> None:
    kind = _PSEUDO.get(endpoint.network_name, "bridge")
    attributes = {"container": container_id, "name": endpoint.network_name, "type": kind}
    context.events.emit("network", action, endpoint.network_id, attributes)


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
    context: Context, container: Container, undo: AsyncExitStack
) -> tuple[PublishedPort, ...]:
    chosen = bindings(container)
    published: list[PublishedPort] = []
    address = next((e.ipv4_address for e in container.endpoints.values() if e.ipv4_address), "")
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
