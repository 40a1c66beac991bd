"""Published ports between wire and engine: `80/tcp` and lists of host addresses."""

from boxship.errors import InvalidArgumentError
from boxship.model.container import Container, PortBinding
from boxship.wire import container as wire

_PROTOCOLS = ("tcp", "udp", "sctp")
_MAX_PORT = 65535

PortMap = dict[str, list[wire.PortBinding] | None]


def parse_port(text: str) -> tuple[int, str]:
    """Read `80/tcp` or `80`.

    Raises:
        InvalidArgumentError: no port number, or an unknown protocol.
    """
    number, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol not in _PROTOCOLS:
        raise InvalidArgumentError(f"invalid port {text!r}: unknown protocol {protocol!r}")
    return _number(number, text), protocol


def port_bindings(ports: PortMap) -> tuple[PortBinding, ...]:
    """`PortBindings` of a create request.

    Raises:
        InvalidArgumentError: a port that is none.
    """
    result: list[PortBinding] = []
    for key, hosts in ports.items():
        port, protocol = parse_port(key)
        for host in hosts or [wire.PortBinding()]:
            first, last = _range(host.host_port or "", key)
            result.append(PortBinding(port, protocol, host.host_ip or "", first, last))
    return tuple(result)


def requested(bindings: tuple[PortBinding, ...]) -> PortMap:
    """`HostConfig.PortBindings` of inspect: what was asked for."""
    ports: PortMap = {}
    for item in bindings:
        host_port = "" if item.host_port == 0 else str(item.host_port)
        if item.host_port_end:
            host_port = f"{host_port}-{item.host_port_end}"
        ports.setdefault(f"{item.container_port}/{item.protocol}", [])
        entry = ports[f"{item.container_port}/{item.protocol}"]
        if entry is not None:
            entry.append(wire.PortBinding(item.host_ip, host_port))
    return ports


def published(container: Container) -> PortMap:
    """`NetworkSettings.Ports`: what is published now; exposed ports that are not are null."""
    ports: PortMap = {}
    for item in container.ports:
        key = f"{item.container_port}/{item.protocol}"
        if item.host_port == 0:
            ports.setdefault(key, None)
            continue
        entry = ports.get(key) or []
        entry.append(wire.PortBinding(item.host_ip or "0.0.0.0", str(item.host_port)))  # noqa: S104 - Docker's word for all addresses
        ports[key] = entry
    return ports


def listed(container: Container) -> list[wire.Port]:
    """`Ports` of a listing."""
    result = []
    for item in container.ports:
        if item.host_port == 0:
            result.append(wire.Port(item.container_port, item.protocol))
        else:
            address = item.host_ip or "0.0.0.0"  # noqa: S104 - Docker's word for all addresses
            result.append(wire.Port(item.container_port, item.protocol, address, item.host_port))
    return result


def _range(text: str, key: str) -> tuple[int, int]:
    if text == "":
        return 0, 0
    first, dash, last = text.partition("-")
    low = _number(first, key, zero=True)
    high = _number(last, key) if dash else 0
    if dash and high < low:
        raise InvalidArgumentError(f"invalid host port range {text!r} for {key}")
    return low, high


def _number(text: str, whole: str, *, zero: bool = False) -> int:
    if not text.isdigit() or not (0 if zero else 1) <= int(text) <= _MAX_PORT:
        raise InvalidArgumentError(f"invalid port {text!r} in {whole!r}: want 1 to 65535")
    return int(text)
