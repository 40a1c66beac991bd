"""The text of a container's /etc/hosts (hosts(5))."""

from collections.abc import Sequence

from boxship.errors import InvalidArgumentError

_HEAD = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)
_HOST_GATEWAY = "host-gateway"


def hosts_text(
    addresses: Sequence[str],
    names: Sequence[str],
    extra: Sequence[str] = (),
    links: Sequence[tuple[str, Sequence[str]]] = (),
    host_gateway: str = "",
) -> str:
    """Compose the file.

    Args:
        addresses: the container's own addresses.
        names: its host name, fully qualified first.
        extra: `--add-host` entries, `name:address` or `name=address`; the address may be
            `host-gateway`.
        links: address and names of linked containers.
        host_gateway: address of the host as seen from the container.

    Raises:
        InvalidArgumentError: an extra entry cannot be read.
    """
    lines = [_HEAD]
    lines += [
        f"{address}\t{name}\n"
        for name, address in (parse_extra_host(entry, host_gateway) for entry in extra)
    ]
    lines += [f"{address}\t{' '.join(known)}\n" for address, known in links]
    lines += [f"{address}\t{' '.join(names)}\n" for address in addresses if names]
    return "".join(lines)


def parse_extra_host(entry: str, host_gateway: str = "") -> tuple[str, str]:
    """Name and address of an `--add-host` entry.

    Raises:
        InvalidArgumentError: it is not `name:address`, or host-gateway has no meaning here.
    """
    separator = "=" if "=" in entry else ":"
    name, _, address = entry.partition(separator)
    address = address.strip("[]") if address.startswith("[") else address
    if not name or not address:
        raise InvalidArgumentError(f'bad format for add-host: "{entry}"')
    if address != _HOST_GATEWAY:
        return name, address
    if not host_gateway:
        raise InvalidArgumentError(
            "unable to derive the IP value for host-gateway",
            hint="the container has no bridge network",
        )
    return name, host_gateway
