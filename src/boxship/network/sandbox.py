"""The container's side: its end of the cable, its addresses and routes."""

import socket

import msgspec

from boxship.kernel import netlink, netns
from boxship.model.container import Endpoint
from boxship.network.host import write_sysctl

_LOOPBACK = 1
"""Index of `lo`, which every network namespace is born with."""


class Sandbox(msgspec.Struct, frozen=True):
    """A container's network namespace and the names it goes by.

    Attributes:
        hostname: what the user chose; empty for the short id.
        netns: open descriptor of the namespace; -1 when there is none yet.
        sysctls: settings below `net.` that concern the new interface (`net.ipv4.conf.eth0.…`).
    """

    container_id: str
    name: str
    hostname: str = ""
    netns: int = -1
    sysctls: dict[str, str] = {}


def raise_loopback(namespace: int) -> None:
    """Bring `lo` up, all that a container without a network has."""
    with netns.entered(namespace), netlink.RouteSocket() as route:
        route.transact([netlink.change_link(_LOOPBACK)])


def configure(sandbox: Sandbox, endpoint: Endpoint, *, default_route: bool) -> None:
    """Give the interface that is in the namespace already its address and route, and start it.

    Raises:
        NetlinkError: the kernel refused one of them.
        OSError: the interface is not there.
    """
    with netns.entered(sandbox.netns):
        # Without an IPv6 subnet the interface speaks no IPv6, as with Docker: no duplicate address
        # detection, no packets while idle. Kernels without IPv6 have no such setting.
        _try_sysctl(f"ipv6/conf/{endpoint.container_link}/disable_ipv6", "1")
        index = socket.if_nametoindex(endpoint.container_link)
        requests = [
            netlink.change_link(_LOOPBACK),
            netlink.change_link(index),
            netlink.add_address(index, endpoint.ipv4_address, endpoint.ipv4_prefix),
        ]
        if default_route:
            requests.append(netlink.add_route(index, endpoint.gateway))
        requests.append(netlink.settle_link(endpoint.container_link))
        with netlink.RouteSocket() as route:
            route.transact(requests)
        for name, value in sandbox.sysctls.items():
            write_sysctl(name.removeprefix("net.").replace(".", "/"), value)


def add_default_route(namespace: int, endpoint: Endpoint) -> None:
    """Lead the default route of a running container through another of its networks."""
    with netns.entered(namespace), netlink.RouteSocket() as route:
        index = socket.if_nametoindex(endpoint.container_link)
        route.transact([netlink.add_route(index, endpoint.gateway)])


def _try_sysctl(name: str, value: str) -> None:
    try:
        write_sysctl(name, value)
    except OSError:
        return
