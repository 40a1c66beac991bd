"""What the operator decides about networks."""

import hashlib
from ipaddress import IPv4Network
from pathlib import Path

import msgspec

from boxship.paths import default_data_root


class AddressRange(msgspec.Struct, frozen=True):
    """A range that subnets of one size are cut from (`default-address-pools`)."""

    base: str
    size: int


DEFAULT_RANGES = (
    *(AddressRange(f"172.{second}.0.0/16", 16) for second in range(17, 32)),
    AddressRange("192.168.0.0/16", 20),
)
"""The ranges of Docker, so that hosts planned for it keep their plans."""


class NetworkSettings(msgspec.Struct, frozen=True):
    """Settings of one daemon.

    Attributes:
        bridge: link of the default network; empty to derive it from the network's id.
        table: nftables table of this daemon.
        bip: address of the default bridge with its prefix (`10.9.0.1/24`), or empty.
        host_ip: where ports are published that name no address.
        mtu: of bridges; 0 to follow the default route, at most 1500.
        dns: name servers for containers; empty for the host's.
        ip_forward: turn the host's forwarding on.
    """

    bridge: str = "boxship0"
    table: str = "boxship"
    bip: str = ""
    host_ip: str = "0.0.0.0"  # noqa: S104 - publishing means reachable
    mtu: int = 0
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    ranges: tuple[AddressRange, ...] = DEFAULT_RANGES
    icc: bool = True
    ip_forward: bool = True

    @classmethod
    def for_data_root(cls, data_root: Path) -> "NetworkSettings":
        """Names that keep daemons apart: the plain ones belong to the default data root."""
        if str(data_root) == default_data_root():
            return cls()
        digest = hashlib.sha256(str(data_root).encode()).hexdigest()[:12]
        return cls(bridge="", table=f"boxship_{digest}")


def subnets(ranges: tuple[AddressRange, ...]) -> list[tuple[IPv4Network, int]]:
    """The ranges as networks with the prefix length of what is cut from them."""
    return [(IPv4Network(entry.base), entry.size) for entry in ranges]
