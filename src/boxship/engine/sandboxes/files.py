"""The files that the engine writes for a container: /etc/hosts, /etc/hostname, /etc/resolv.conf.

They are written in place, never replaced: the container has them bind-mounted, and a bind mount
stays with the file it was made of.
"""

from pathlib import Path

from boxship.engine.context import Context
from boxship.engine.sandboxes.modes import Modes, modes_of
from boxship.errors import ConflictError
from boxship.model.container import Container, Endpoint
from boxship.network import dns
from boxship.network.hosts import hosts_text, parse_extra_host

_HOST_HOSTS = Path("/etc/hosts")
_BRIDGE = "bridge"


def write_files(context: Context, container: Container) -> None:
    """Write all three; the container's endpoints have their addresses already.

    Raises:
        InvalidArgumentError: an extra host cannot be read.
    """
    modes = modes_of(container.host)
    if modes.network.is_shared:
        return
    Path(container.hostname_path).write_text(f"{container.config.hostname}\n")
    Path(container.resolv_path).write_text(_resolv(context, container, modes))
    Path(container.hosts_path).write_text(_hosts(context, container, modes))


def files_of(context: Context, container: Container) -> tuple[tuple[str, str], ...]:
    """Target and source of each file; those of the container whose network is shared."""
    mode = modes_of(container.host).network
    owner = context.store.find(mode.other).container if mode.is_shared else container
    return (
        ("/etc/resolv.conf", owner.resolv_path),
        ("/etc/hostname", owner.hostname_path),
        ("/etc/hosts", owner.hosts_path),
    )


def idle(endpoint: Endpoint) -> Endpoint:
    """A connection as it is on record while the container does not run."""
    return Endpoint(
        network_id=endpoint.network_id,
        network_name=endpoint.network_name,
        endpoint_id="",
        aliases=endpoint.aliases,
        dns_names=endpoint.dns_names,
        links=endpoint.links,
        requested_ipv4=endpoint.requested_ipv4,
    )


def _own_names(container: Container) -> list[str]:
    config = container.config
    if config.domainname:
        return [f"{config.hostname}.{config.domainname}", config.hostname]
    if "." in config.hostname:
        return [config.hostname, config.hostname.partition(".")[0]]
    return [config.hostname]


def _hosts(context: Context, container: Container, modes: Modes) -> str:
    gateway = _host_gateway(context)
    if modes.network.is_host:
        text = _HOST_HOSTS.read_text(errors="replace") if _HOST_HOSTS.exists() else ""
        extra = (parse_extra_host(entry, gateway) for entry in container.host.extra_hosts)
        return text + "".join(f"{address}\t{name}\n" for name, address in extra)
    return hosts_text(
        [each.ipv4_address for each in container.endpoints.values() if each.ipv4_address],
        _own_names(container),
        container.host.extra_hosts,
        _linked(context, container),
        gateway,
    )


def _resolv(context: Context, container: Container, modes: Modes) -> str:
    host = container.host
    wishes = dns.ResolvConf(host.dns, host.dns_search, host.dns_options)
    if modes.network.is_host:
        return dns.override(dns.host_configuration(), wishes).text()
    return context.networks.resolv_conf(wishes, user_network=on_user_network(container))


def on_user_network(container: Container) -> bool:
    """Whether the engine's resolver serves the container, which the default bridge has not."""
    return any(name not in (_BRIDGE, "host", "none") for name in container.endpoints)


def _host_gateway(context: Context) -> str:
    pools = context.networks.get(_BRIDGE).pools
    return pools[0].gateway if pools else ""


def _linked(context: Context, container: Container) -> list[tuple[str, tuple[str, ...]]]:
    """Addresses and names of `--link` on the default bridge; user networks have names anyway.

    Raises:
        ConflictError: a linked container does not run.
    """
    found: list[tuple[str, tuple[str, ...]]] = []
    if _BRIDGE not in container.endpoints:
        return found
    for link in container.host.links:
        ref, _, alias = link.partition(":")
        other = context.store.find(ref).container
        alias = alias.rpartition("/")[2] or other.name
        if not other.state.pid:
            raise ConflictError(
                f"Cannot link to a non running container: /{other.name} AS "
                f"/{container.name}/{alias}"
            )
        endpoint = other.endpoints.get(_BRIDGE)
        if endpoint is not None and endpoint.ipv4_address:
            names = dict.fromkeys((alias, other.config.hostname, other.name))
            found.append((endpoint.ipv4_address, tuple(names)))
    return found
