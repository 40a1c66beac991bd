"""Links: bridges, virtual Ethernet pairs, and their state (include/uapi/linux/if_link.h)."""

import errno
import struct
from typing import NamedTuple

from boxship.kernel.netlink.connection import RouteSocket
from boxship.kernel.netlink.message import (
    FLAG_CREATE,
    FLAG_EXCL,
    Request,
    attribute,
    attributes,
    nested,
    number,
    string,
    text,
    u8,
    u32,
)

_NEW, _DELETE, _GET, _SET = 16, 17, 18, 19
_HEADER = struct.Struct("=BxHiII")  # struct ifinfomsg
_UP = 0x1
_AF_BRIDGE = 7

_ADDRESS, _NAME, _MTU, _MASTER, _LINKINFO = 1, 3, 4, 10, 18
_GROUP, _NETNS_FD, _TX_QUEUES, _RX_QUEUES = 27, 28, 31, 32
_PROTINFO, _ALIAS = 12, 20
_INFO_KIND, _INFO_DATA = 1, 2
_VETH_PEER = 1
_PORT_ISOLATED, _PORT_HAIRPIN = 33, 4


class Link(NamedTuple):
    """A network interface as the kernel lists it; `master` is an index or 0."""

    ifindex: int
    name: str
    up: bool
    mtu: int
    mac: str
    master: int
    kind: str
    alias: str


class VethPair(NamedTuple):
    """A virtual cable: `name` here, a port of `master`; `peer_name` in another namespace."""

    name: str
    master: int
    mtu: int
    peer_name: str
    peer_netns: int
    peer_mac: str


def _mac(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))


def add_bridge(name: str, mtu: int, mac: str, alias: str = "") -> Request:
    """Make a bridge and bring it up. A fixed address keeps it from changing with its ports."""
    body = (
        _HEADER.pack(0, 0, 0, _UP, _UP)
        + text(_NAME, name)
        + u32(_MTU, mtu)
        + attribute(_ADDRESS, _mac(mac))
        + nested(_LINKINFO, text(_INFO_KIND, "bridge"))
    )
    return Request(_NEW, FLAG_CREATE | FLAG_EXCL, body, f"add bridge {name}")


def add_veth(pair: VethPair) -> Request:
    """Make both ends, one of them already in its namespace, the other plugged in and up.

    The peer cannot be made up in the same message: while it is registered it has no partner yet
    and veth_open() says ENOTCONN. One queue each: the default is one for each possible processor,
    which costs a quarter more time.
    """
    queues = u32(_TX_QUEUES, 1) + u32(_RX_QUEUES, 1)
    peer = (
        _HEADER.pack(0, 0, 0, 0, 0)
        + text(_NAME, pair.peer_name)
        + attribute(_ADDRESS, _mac(pair.peer_mac))
        + u32(_MTU, pair.mtu)
        + u32(_NETNS_FD, pair.peer_netns)
        + queues
    )
    body = (
        _HEADER.pack(0, 0, 0, _UP, _UP)
        + text(_NAME, pair.name)
        + u32(_MTU, pair.mtu)
        + u32(_MASTER, pair.master)
        + queues
        + nested(
            _LINKINFO,
            text(_INFO_KIND, "veth"),
            nested(_INFO_DATA, attribute(_VETH_PEER, peer)),
        )
    )
    return Request(_NEW, FLAG_CREATE | FLAG_EXCL, body, f"add veth {pair.name}")


def change_link(index: int, *, up: bool = True, mtu: int = 0, alias: str = "") -> Request:
    body = _HEADER.pack(0, 0, index, _UP if up else 0, _UP)
    if mtu:
        body += u32(_MTU, mtu)
    if alias:
        body += text(_ALIAS, alias)
    return Request(_NEW, 0, body, f"change link {index}")


def settle_link(name: str) -> Request:
    """Ask for a link, which makes a carrier change that is still queued take effect first.

    A carrier comes up in a work queue (net/core/link_watch.c); until then the link drops what it
    is given and a bridge holds its port closed, and the first packet of a new container would be
    repeated after a second. rtnl_getlink() catches up in 6.18; where it does not, nothing is lost.
    """
    body = _HEADER.pack(0, 0, 0, 0, 0) + text(_NAME, name)
    return Request(_GET, 0, body, f"get link {name}")


def move_to_group(index: int, group: int) -> Request:
    body = _HEADER.pack(0, 0, index, 0, 0) + u32(_GROUP, group)
    return Request(_NEW, 0, body, f"change link {index}", (errno.ENODEV,))


def delete_link(name: str) -> Request:
    """Remove a link by name; the other end of a pair goes with it.

    Slow: the kernel waits for RCU grace periods (about 20 ms) with the routing lock held. The
    death of a namespace removes its links in the background for many namespaces at once.
    """
    body = _HEADER.pack(0, 0, 0, 0, 0) + text(_NAME, name)
    return Request(_DELETE, 0, body, f"delete link {name}", (errno.ENODEV,))


def delete_group(group: int) -> Request:
    """Remove every link of a group with one wait for all."""
    body = _HEADER.pack(0, 0, 0, 0, 0) + u32(_GROUP, group)
    return Request(_DELETE, 0, body, f"delete link group {group}", (errno.ENODEV,))


def isolate_port(index: int) -> Request:
    """Keep a bridge port from reaching other isolated ports of the bridge (kernel 4.18)."""
    return _change_port(index, _PORT_ISOLATED)


def hairpin_port(index: int) -> Request:
    """Let a bridge port send back what came in by it (kernel 3.10)."""
    return _change_port(index, _PORT_HAIRPIN)


def _change_port(index: int, setting: int) -> Request:
    body = _HEADER.pack(_AF_BRIDGE, 0, index, 0, 0) + nested(_PROTINFO, u8(setting, 1))
    return Request(_SET, 0, body, f"change bridge port {index}")


def links(route: RouteSocket) -> list[Link]:
    """Every link of the socket's namespace."""
    request = Request(_GET, 0, _HEADER.pack(0, 0, 0, 0, 0), "list links")
    return [_link(body) for body in route.dump(request)]


def _link(body: bytes) -> Link:
    _family, _type, index, flags, _change = _HEADER.unpack_from(body)
    found = attributes(body[_HEADER.size :])
    info = attributes(found.get(_LINKINFO, b""))
    return Link(
        ifindex=index,
        name=string(found.get(_NAME)),
        up=bool(flags & _UP),
        mtu=number(found.get(_MTU)),
        mac=found.get(_ADDRESS, b"").hex(":"),
        master=number(found.get(_MASTER)),
        kind=string(info.get(_INFO_KIND)),
        alias=string(found.get(_ALIAS)),
    )
