"""The daemon's one nftables table: masquerading, published ports, and who may talk to whom.

The rules are written once; networks and ports are elements of its sets and maps, so adding one
touches nothing else. The path of a packet:

    raw          drops loopback addresses that did not come from the loopback device
    prerouting   published port -> container, for packets from outside and from containers
    output       the same for the host's own packets, 127.0.0.1 included
    forward      established; within one bridge; not internal; published; nothing else into a bridge
    postrouting  masquerades what leaves the bridges, and senders that could not be answered

A base chain's accept does not overrule another table's drop: when the host's own rules drop
forwarded packets (`iptables -P FORWARD DROP`, as dockerd does), they must let the bridges pass.
"""

import errno
import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from boxship.kernel.nftables import NftablesError
from boxship.log import warn

# Of the sets and maps; rules may change from version to version, these keep running containers.
_ELEMENTS = """
add set ip {t} bridges {{ type ifname; }}
add set ip {t} within {{ type ifname . ifname; }}
add set ip {t} internal {{ type ifname; }}
add set ip {t} masqueraded {{ type ipv4_addr . ifname; flags interval; }}
add set ip {t} hairpin {{ type ipv4_addr . ifname; flags interval; }}
add map ip {t} published {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
add map ip {t} published_at {{ type ipv4_addr . inet_proto . inet_service \
: ipv4_addr . inet_service; }}
"""

# route_localnet is on for the bridges, so that 127.0.0.1 can be published. `raw` keeps what it
# would open closed: containers and neighbours reaching the host's loopback (CVE-2020-8558).
# `fib saddr type local` masquerades the host's own connections to published ports: a container
# cannot answer 127.0.0.1, and answers another of the host's addresses through its first network.
_RULES = """
add chain ip {t} raw {{ type filter hook prerouting priority raw; policy accept; }}
add chain ip {t} publish
add chain ip {t} prerouting {{ type nat hook prerouting priority dstnat; policy accept; }}
add chain ip {t} output {{ type nat hook output priority -100; policy accept; }}
add chain ip {t} postrouting {{ type nat hook postrouting priority srcnat; policy accept; }}
add chain ip {t} forwarding {{ type filter hook forward priority filter; policy accept; }}
flush table ip {t}
add rule ip {t} raw iifname != "lo" ip daddr 127.0.0.0/8 drop
add rule ip {t} raw iifname @bridges ip saddr 127.0.0.0/8 drop
add rule ip {t} publish dnat ip to ip daddr . meta l4proto . th dport map @published_at
add rule ip {t} publish dnat ip to meta l4proto . th dport map @published
add rule ip {t} prerouting fib daddr type local meta l4proto {{ tcp, udp, sctp }} goto publish
add rule ip {t} output fib daddr type local meta l4proto {{ tcp, udp, sctp }} goto publish
add rule ip {t} postrouting oifname @bridges ct status dnat fib saddr type local masquerade
add rule ip {t} postrouting oifname @bridges ct status dnat ip saddr . oifname @hairpin masquerade
add rule ip {t} postrouting oifname != @bridges ip saddr . iifname @masqueraded masquerade
add rule ip {t} forwarding ct state established,related accept
add rule ip {t} forwarding iifname . oifname @within accept
add rule ip {t} forwarding iifname @internal drop
add rule ip {t} forwarding oifname @internal drop
add rule ip {t} forwarding oifname @bridges ct status dnat accept
add rule ip {t} forwarding oifname @bridges drop
"""
_SETS = ("bridges", "within", "internal", "masqueraded", "hairpin")
_MAPS = ("published", "published_at")
_ANY = "0.0.0.0"  # noqa: S104 - a key, not a socket


class Segment(NamedTuple):
    """One bridge network in the table's terms."""

    link: str
    subnet: str
    internal: bool = False
    masquerade: bool = True
    icc: bool = True


class Forwarding(NamedTuple):
    """One published port: packets to the host's side go to the container's."""

    protocol: str
    host_ip: str
    host_port: int
    address: str
    port: int


class Nft(Protocol):
    """What is needed of `kernel.nftables.Nftables`."""

    def run(self, commands: str, *, json: bool = False) -> str: ...


class Firewall:
    """Keeps the table of one daemon."""

    def __init__(self, nft: Nft, table: str) -> None:
        self._nft = nft
        self._table = table
        self._segments: dict[str, Segment] = {}
        self._ports: set[Forwarding] = set()

    def ensure(self) -> None:
        """Make the table, or renew its rules; elements stay, so traffic flows on."""
        table = self._table
        self._nft.run(f"add table ip {table}" + (_ELEMENTS + _RULES).format(t=table))

    def remove(self) -> None:
        """Take the whole table away."""
        self._nft.run(f"add table ip {self._table}\ndelete table ip {self._table}")

    def add_segment(self, segment: Segment) -> None:
        self._run(self._segment("add", segment))
        self._segments[segment.link] = segment

    def remove_segment(self, segment: Segment) -> None:
        self._segments.pop(segment.link, None)
        self._run(self._segment("delete", segment))

    def publish(self, ports: Sequence[Forwarding]) -> None:
        """Forward ports, all or none."""
        self._run([self._forwarding("add", port) for port in ports])
        self._ports.update(ports)

    def withdraw(self, ports: Sequence[Forwarding]) -> None:
        """Stop forwarding; ports that are not forwarded are passed over."""
        known = [port for port in ports if port in self._ports]
        self._ports.difference_update(ports)
        self._run([self._forwarding("delete", port) for port in known])

    def replace(self, segments: Iterable[Segment], ports: Iterable[Forwarding]) -> None:
        """Make the elements exactly these, in one transaction."""
        self._segments = {segment.link: segment for segment in segments}
        self._ports = set(ports)
        self._nft.run("\n".join(self._everything()))

    def warn_of_drops(self) -> None:
        """Say when another table drops what is forwarded unless told otherwise."""
        listed = json.loads(self._nft.run("list chains", json=True))["nftables"]
        for chain in (entry["chain"] for entry in listed if "chain" in entry):
            if chain.get("hook") != "forward" or chain.get("policy") != "drop":
                continue
            if chain["family"] in ("ip", "inet"):
                warn(
                    f"chain {chain['name']} of nftables table {chain['family']} {chain['table']} "
                    "drops forwarded packets: containers reach the outside only if its rules "
                    "accept the bridges"
                )

    def _run(self, commands: list[str]) -> None:
        """Carry changes out; when somebody flushed the host's rules, put all of ours back first."""
        if not commands:
            return
        try:
            self._nft.run("\n".join(commands))
        except NftablesError as failure:
            if failure.errno != errno.ENOENT:
                raise
            warn(f"rules of nftables table {self._table} are missing: making them again")
            self.ensure()
            self._nft.run("\n".join([*self._everything(), *_additions(commands)]))

    def _everything(self) -> list[str]:
        commands = [f"flush set ip {self._table} {name}" for name in _SETS]
        commands += [f"flush map ip {self._table} {name}" for name in _MAPS]
        for segment in self._segments.values():
            commands += self._segment("add", segment)
        return commands + [self._forwarding("add", port) for port in sorted(self._ports)]

    def _segment(self, verb: str, segment: Segment) -> list[str]:
        link = f'"{segment.link}"'
        elements = {"bridges": link, "hairpin": f"{segment.subnet} . {link}"}
        if segment.icc:
            elements["within"] = f"{link} . {link}"
        if segment.internal:
            elements["internal"] = link
        elif segment.masquerade:
            elements["masqueraded"] = f"{segment.subnet} . {link}"
        return [
            f"{verb} element ip {self._table} {name} {{ {element} }}"
            for name, element in elements.items()
        ]

    def _forwarding(self, verb: str, port: Forwarding) -> str:
        key = f"{port.protocol} . {port.host_port}"
        name = "published"
        if port.host_ip != _ANY:
            name, key = "published_at", f"{port.host_ip} . {key}"
        value = f" : {port.address} . {port.port}" if verb == "add" else ""
        return f"{verb} element ip {self._table} {name} {{ {key}{value} }}"


def _additions(commands: Iterable[str]) -> list[str]:
    return [command for command in commands if command.startswith("add ")]
