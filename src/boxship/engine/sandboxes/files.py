"""The files that the engine writes for a container: /etc/hosts, /etc/hostname, /etc/resolv.conf.

They are written in place, never replaced: the container has them bind-mounted, and a bind mount
stays with the file it was made of.
"""

from pathlib import Path


from boxship.engine.context import Context
from boxship.engine.sandboxes.modes import Modes, modes_of
from boxship.model.container import Container, Endpoint
from boxship.network import dns
from boxship.network.hosts import hosts_text, parse_extra_host

_HOST_HOSTS = Path("/etc/hosts")
_BRIDGE = "bridge"


def write_files(context: Context, container: Container) -> None:
    """Write what is known before the networks are joined; hosts is made empty."""
    modes = modes_of(container.host)
    if modes.network.is_shared:
        return
    config = container.config
    Path(container.hostname_path).write_text(f"{config.hostname}\n")
    Path(container.resolv_path).write_text(_resolv(context, container, modes))
    Path(container.hosts_path).write_bytes(b"")


def write_hosts(context: Context, container: Container) -> None:
    """Write /etc/hosts with the addresses that the networks gave.

    Raises:
        InvalidArgumentError: an extra host cannot be read.
    """
    modes = modes_of(container.host)
    if modes.network.is_shared:
        return
    gateway = _host_gateway(context)
    if modes.network.is_host:
        text = _HOST_HOSTS.read_text(errors="replace") if _HOST_HOSTS.exists() else ""
        extra = (parse_extra_host(entry, gateway) for entry in container.host.extra_hosts)
        text += "".join(f"{address}\t{name}\n" for name, address in extra)
    else:
        text = hosts_text(
            [e.ipv4_address for e in container.endpoints.values() if e.ipv4_address],
            _own_names(container),
            container.host.extra_hosts,
            _linked(context, container),
            gateway,
        )
    Path(container.hosts_path).write_text(text)


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


def _resolv(context: Context, container: Container, modes: Modes) -> str:
    host = container.host
    settings = context.networks.settings
    daemon = dns.ResolvConf(settings.dns, settings.dns_search, settings.dns_options)
    wishes = dns.ResolvConf(host.dns, host.dns_search, host.dns_options)
    base = dns.override(dns.override(dns.host_configuration(), daemon), wishes)
    if modes.network.is_host:
        return base.text()
    if on_user_network(container):
        return dns.for_user_network(base).text()
    return dns.for_default_network(base).text()


def on_user_network(container: Container) -> bool:
    """Whether the engine's resolver serves the container, which the default bridge has not."""
    return any(name not in (_BRIDGE, "host", "none") for name in container.endpoints)


def _host_gateway(context: Context) -> str:
    pools = context.networks.get(_BRIDGE).pools
    return pools[0].gateway if pools else ""


def _linked(context: Context, container: Container) -> list[tuple[str, tuple[str, ...]]]:
    """Addresses and names of `--link` on the default bridge; user networks have names anyway."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for link in container.host.links:
        ref, _, alias = link.partition(":")
        other = context.store.find(ref).container
        endpoint = other.endpoints.get(_BRIDGE)
        if endpoint is not None and endpoint.ipv4_address:
            alias = alias.rpartition("/")[2] or other.name
            names = dict.fromkeys((alias, other.config.hostname, other.name))
            found.append((endpoint.ipv4_address, tuple(names)))
    return found
