"""Network documents."""

import msgspec
from msgspec import field


class EndpointIpam(msgspec.Struct, omit_defaults=True):
    """`IPAMConfig` of an endpoint."""

    ipv4_address: str = field(default="", name="IPv4Address")
    ipv6_address: str = field(default="", name="IPv6Address")
    link_local_ips: list[str] | None = field(default=None, name="LinkLocalIPs")


class EndpointSettings(msgspec.Struct, rename="pascal"):
    """A container's connection to one network, in requests and answers; addresses are bare."""

    ipam_config: EndpointIpam | None = field(default=None, name="IPAMConfig")
    links: list[str] | None = None
    aliases: list[str] | None = None
    mac_address: str | None = ""
    driver_opts: dict[str, str] | None = None
    gw_priority: int = 0
    network_id: str = field(default="", name="NetworkID")
    endpoint_id: str = field(default="", name="EndpointID")
    gateway: str = ""
    ip_address: str = field(default="", name="IPAddress")
    ip_prefix_len: int = field(default=0, name="IPPrefixLen")
    ipv6_gateway: str = field(default="", name="IPv6Gateway")
    global_ipv6_address: str = field(default="", name="GlobalIPv6Address")
    global_ipv6_prefix_len: int = field(default=0, name="GlobalIPv6PrefixLen")
    dns_names: list[str] | None = field(default=None, name="DNSNames")


class IpamConfig(msgspec.Struct, omit_defaults=True):
    """One pool of a network."""

    subnet: str = field(default="", name="Subnet")
    ip_range: str = field(default="", name="IPRange")
    gateway: str = field(default="", name="Gateway")
    auxiliary: dict[str, str] | None = field(default=None, name="AuxiliaryAddresses")
    aux_address: dict[str, str] | None = field(default=None, name="AuxAddress")


class Ipam(msgspec.Struct, rename="pascal"):
    """`IPAM` of a network."""

    driver: str = "default"
    options: dict[str, str] | None = None
    config: list[IpamConfig] | None = None


class NetworkCreateRequest(msgspec.Struct, rename="pascal"):
    """Body of `POST /networks/create`."""

    name: str = ""
    check_duplicate: bool | None = None
    driver: str = ""
    scope: str = ""
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: dict[str, str] | None = None
    ipam: Ipam | None = field(default=None, name="IPAM")
    enable_ipv4: bool | None = field(default=None, name="EnableIPv4")
    enable_ipv6: bool | None = field(default=None, name="EnableIPv6")
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class NetworkCreateResponse(msgspec.Struct, rename="pascal"):
    """Answer to network create."""

    id: str
    warning: str = ""


class NetworkContainer(msgspec.Struct, rename="pascal"):
    """A container in a network's inspect; addresses with their prefix."""

    name: str
    endpoint_id: str = field(name="EndpointID")
    mac_address: str
    ipv4_address: str = field(name="IPv4Address")
    ipv6_address: str = field(name="IPv6Address")


class Network(msgspec.Struct, rename="pascal"):
    """A network as list and inspect show it."""

    name: str
    id: str
    created: str
    scope: str
    driver: str
    enable_ipv4: bool = field(name="EnableIPv4")
    enable_ipv6: bool = field(name="EnableIPv6")
    ipam: Ipam = field(name="IPAM")
    internal: bool
    attachable: bool
    ingress: bool
    config_from: dict[str, str]
    config_only: bool
    containers: dict[str, NetworkContainer]
    options: dict[str, str]
    labels: dict[str, str]


class NetworkConnectRequest(msgspec.Struct, rename="pascal"):
    """Body of network connect."""

    container: str = ""
    endpoint_config: EndpointSettings | None = None


class NetworkDisconnectRequest(msgspec.Struct, rename="pascal"):
    """Body of network disconnect."""

    container: str = ""
    force: bool = False


class PruneResponse(msgspec.Struct, rename="pascal"):
    """Answer to `POST /networks/prune`."""

    networks_deleted: list[str] | None
