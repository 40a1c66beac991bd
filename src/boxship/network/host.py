"""The host's side of networks: links, addresses, routes and sysctls of its network namespace."""

import errno
import socket
from ipaddress import IPv4Network
from pathlib import Path

from boxship.kernel import netlink
from boxship.kernel.netlink import Link, RouteSocket
from boxship.log import debug, warn

_SYSCTL = Path("/proc/sys/net")
_ETHERNET = 1500
# A group that links on their way out are put in, to delete them with one wait ("bx" + "00").
_DOOMED = 0x62783030


def write_sysctl(name: str, value: str) -> None:
    """Write a setting below `net`; `name` is a path (`ipv4/ip_forward`).

    Raises:
        OSError: there is no such setting, or it may not be written.
    """
    (_SYSCTL / name).write_text(value)


def mac_of(address: str) -> str:
    """A locally administered hardware address that holds the IPv4 address, as Docker's do."""
    return "02:42:" + ":".join(f"{int(part):02x}" for part in address.split("."))


class HostLinks:
    """What the service does to links of the namespace it runs in."""

    def __init__(self, route: RouteSocket) -> None:
        self._route = route

    def links(self) -> list[Link]:
        return netlink.links(self._route)

    def used_subnets(self) -> list[IPv4Network]:
        """Subnets that the host has an address in or a route to."""
        used = [
            IPv4Network((entry.address, entry.prefix), strict=False)
            for entry in netlink.addresses(self._route)
        ]
        used += [
            IPv4Network((entry.destination, entry.prefix), strict=False)
            for entry in netlink.routes(self._route)
            if entry.destination
        ]
        return used

    def uplink_mtu(self) -> int:
        """The MTU of the default route's link, at most that of Ethernet."""
        defaults = [entry for entry in netlink.routes(self._route) if not entry.destination]
        if not defaults:
            return _ETHERNET
        uplink = min(defaults, key=lambda entry: entry.metric).link
        sizes = [link.mtu for link in self.links() if link.ifindex == uplink]
        return min(_ETHERNET, *sizes) if sizes else _ETHERNET

    def ensure_bridge(self, name: str, address: tuple[str, int], mtu: int, alias: str) -> None:
        """Make a bridge, or restore what is missing of it.

        Args:
            name: of the link.
            address: its own, with the prefix length: the network's gateway.
            mtu: of the link.
            alias: a note on the link.

        Raises:
            NetlinkError: the kernel refused it.
            OSError: its sysctl cannot be written.
        """
        found = self._named(name)
        if found is None:
            self._route.transact([netlink.add_bridge(name, mtu, mac_of(address[0]))])
            found = self._named(name)
        if found is None:
            raise netlink.NetlinkError(errno.ENODEV, "find bridge", name)
        self._route.transact(
            [
                netlink.change_link(found.ifindex, mtu=mtu, alias=alias),
                netlink.add_address(found.ifindex, *address),
            ]
        )
        write_sysctl(f"ipv4/conf/{name}/route_localnet", "1")

    def add_veth(self, pair: netlink.VethPair, *, isolated: bool) -> None:
        self._route.transact([netlink.add_veth(pair)])
        if isolated:
            self._route.transact([netlink.isolate_port(self.index_of(pair.name))])

    def settle(self, port: str, bridge: str) -> None:
        """Make a cable whose other end has just come up carry packets at once.

        The bridge as well: without ports it has no carrier, and its first port brings it.
        """
        self._route.transact([netlink.settle_link(port), netlink.settle_link(bridge)])

    def hairpin(self, name: str) -> None:
        """Let a container reach its own published ports.

        Needed where bridged packets pass the IP rules (net.bridge.bridge-nf-call-iptables): they
        are redirected within the bridge then, back to the port they came from.
        """
        self._route.transact([netlink.hairpin_port(self.index_of(name))])

    @staticmethod
    def index_of(name: str) -> int:
        """The index of a link; 0 when there is none. One ioctl, where a list costs a dump."""
        try:
            return socket.if_nametoindex(name)
        except OSError:
            return 0

    def _named(self, name: str) -> Link | None:
        return next((link for link in self.links() if link.name == name), None)


def delete_links(names: list[str]) -> None:
    """Remove links with one wait for all; those that are gone are passed over.

    Takes about 25 ms, and opens a socket of its own so that a thread can do it.
    """
    with RouteSocket() as route:
        doomed = [link for link in netlink.links(route) if link.name in names]
        if not doomed:
            return
        debug(f"deleting links {', '.join(link.name for link in doomed)}")
        if len(doomed) == 1:
            route.transact([netlink.delete_link(doomed[0].name)])
            return
        route.transact([netlink.move_to_group(link.ifindex, _DOOMED) for link in doomed])
        route.transact([netlink.delete_group(_DOOMED)])


def forget_flows(protocol: int, port: int) -> None:
    """Make connection tracking forget flows to a host port; a failure costs at most a delay."""
    try:
        with netlink.open_conntrack() as tracking:
            tracking.transact([netlink.forget_flows_to(protocol, port)])
    except OSError as failure:
        warn(f"cannot forget flows to port {port}: {failure}")


def enable_forwarding() -> None:
    """Let the host route packets, as every bridge network needs."""
    try:
        if (_SYSCTL / "ipv4/ip_forward").read_text().strip() != "1":
            write_sysctl("ipv4/ip_forward", "1")
    except OSError as failure:
        warn(f"cannot turn on net.ipv4.ip_forward: {failure}; containers reach only the host")
