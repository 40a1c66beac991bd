"""`--publish` and `--expose` to the API's port maps."""

from boxship.cli.flags import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    PortMap = dict[str, list[dict[str, str]]]

_PROTOCOLS = ("tcp", "udp", "sctp")


def publish(items: "list[str]") -> "PortMap":
    """`[[IP:]HOST:]CONTAINER[/PROTOCOL]`, each side a port or a range.

    Raises:
        UsageError: a malformed item.
    """
    result: PortMap = {}
    for item in items:
        for key, binding in _publications(item):
            result.setdefault(key, []).append(binding)
    return result


def expose(items: "list[str]") -> "list[str]":
    """`PORT[-PORT][/PROTOCOL]` to the keys of `ExposedPorts`.

    Raises:
        UsageError: a malformed item.
    """
    result = []
    for item in items:
        ports, protocol = _protocol(item, item)
        result += [f"{port}/{protocol}" for port in _range(ports, item)]
    return result


def _publications(item: str) -> "list[tuple[str, dict[str, str]]]":
    text, protocol = _protocol(item, item)
    head, _, container = text.rpartition(":")
    address, host = "", head
    if ":" in head:
        address, _, host = head.rpartition(":")
        address = address.strip("[]")
    inner = _range(container, item)
    if host in ("", "0"):
        # The engine chooses.
        return [(f"{port}/{protocol}", _binding(address, "")) for port in inner]
    outer = _range(host, item)
    if len(inner) == 1 and len(outer) > 1:
        # One port inside and a range outside: the engine chooses.
        return [(f"{inner[0]}/{protocol}", _binding(address, host))]
    if len(inner) != len(outer):
        raise UsageError(f"invalid ranges specified for container and host Ports: {item}")
    return [
        (f"{port}/{protocol}", _binding(address, str(published)))
        for port, published in zip(inner, outer, strict=True)
    ]


def _binding(address: str, port: str) -> "dict[str, str]":
    return {"HostIp": address, "HostPort": port}


def _protocol(text: str, item: str) -> "tuple[str, str]":
    ports, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol not in _PROTOCOLS:
        raise UsageError(f"invalid proto: {protocol} in {item}")
    return ports, protocol


def _range(text: str, item: str) -> "range":
    first, dash, last = text.partition("-")
    if not first.isdigit() or (dash and not last.isdigit()):
        raise UsageError(f"invalid containerPort: {text} in {item}")
    low, high = int(first), int(last or first)
    if not 0 < low <= high <= 65535:
        raise UsageError(f"invalid port range: {text} in {item}")
    return range(low, high + 1)
