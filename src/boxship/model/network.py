"""Networks as asked for and as made."""

import msgspec


class IpamPool(msgspec.Struct, frozen=True):
    """An address pool: subnet and optional range in CIDR form, gateway as a bare address."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    auxiliary: dict[str, str] = {}


class NetworkRequest(msgspec.Struct, frozen=True):
    """What `network create` asks for."""

    name: str
    driver: str = "bridge"
    pools: tuple[IpamPool, ...] = ()
    internal: bool = False
    attachable: bool = False
    enable_ipv6: bool = False
    labels: dict[str, str] = {}
    options: dict[str, str] = {}
    ipam_options: dict[str, str] = {}


class Network(msgspec.Struct, frozen=True):
    """A network as made.

    Attributes:
        id: 64 hexadecimal digits.
        driver: `bridge`, `host` or `null`.
        created: nanoseconds since the epoch.
        pools: what was allocated, with subnet and gateway filled in.
        link: name of the bridge on the host, or empty.
    """

    id: str
    name: str
    driver: str
    created: int
    pools: tuple[IpamPool, ...] = ()
    internal: bool = False
    attachable: bool = False
    enable_ipv6: bool = False
    labels: dict[str, str] = {}
    options: dict[str, str] = {}
    ipam_options: dict[str, str] = {}
    link: str = ""
