"""Move a link to another network namespace, with the addresses it had.

The kernel takes the link along and drops its addresses (dev_change_net_namespace()).
"""

import socket
import struct
from typing import NamedTuple

from boxship.kernel.netlink.connection import RouteSocket
from boxship.kernel.netlink.message import (
    FLAG_CREATE,
    FLAG_EXCL,
    Request,
    attribute,
    attributes,
    number,
    text,
    u32,
)

_NEW_LINK, _NEW_ADDRESS, _GET_ADDRESS = 16, 20, 22
_LINK_HEADER = struct.Struct("=BxHiII")  # struct ifinfomsg
_ADDRESS_HEADER = struct.Struct("=BBBBi")  # struct ifaddrmsg
# linux/if_link.h, linux/if_addr.h
_IFLA_NAME, _IFLA_NETNS_FD = 3, 28
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS, _IFA_PRIORITY = 1, 2, 4, 8, 9
_PERMANENT, _NO_PREFIX_ROUTE, _NO_DUPLICATES, _MANAGED = 0x80, 0x200, 0x02, 0x100
_KEPT = _PERMANENT | _NO_PREFIX_ROUTE | _NO_DUPLICATES | _MANAGED
_UNIVERSE = 0


class KeptAddress(NamedTuple):
    """A permanent address of global scope, as it can be given to a link again."""

    family: int
    prefix: int
    flags: int
    parts: tuple[tuple[int, bytes], ...]


def kept_addresses(route: RouteSocket, link: int) -> list[KeptAddress]:
    """The permanent addresses of global scope of a link, of any family."""
    kept = []
    for family in (socket.AF_INET, socket.AF_INET6):
        head = _ADDRESS_HEADER.pack(family, 0, 0, 0, 0)
        for body in route.dump(Request(_GET_ADDRESS, 0, head, "list addresses")):
            _, prefix, flags, scope, index = _ADDRESS_HEADER.unpack_from(body)
            found = attributes(body[_ADDRESS_HEADER.size :])
            flags = number(found.get(_IFA_FLAGS)) or flags
            if index == link and scope == _UNIVERSE and flags & _PERMANENT:
                wanted = (_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_PRIORITY)
                parts = tuple((kind, found[kind]) for kind in wanted if kind in found)
                kept.append(KeptAddress(family, prefix, flags & _KEPT, parts))
    return kept


def give_address(link: int, kept: KeptAddress) -> Request:
    """Give a link an address that it had."""
    flags = kept.flags | (_NO_DUPLICATES if kept.family == socket.AF_INET6 else 0)
    body = _ADDRESS_HEADER.pack(kept.family, kept.prefix, flags & 0xFF, _UNIVERSE, link)
    body += b"".join(attribute(kind, payload) for kind, payload in kept.parts)
    body += u32(_IFA_FLAGS, flags)
    packed = dict(kept.parts)
    shown = socket.inet_ntop(kept.family, packed.get(_IFA_LOCAL) or packed[_IFA_ADDRESS])
    what = f"add address {shown}/{kept.prefix}"
    return Request(_NEW_ADDRESS, FLAG_CREATE | FLAG_EXCL, body, what)


def move_link(index: int, netns: int, name: str) -> Request:
    """Move a link to the namespace behind a descriptor; `%d` in the name becomes a free number."""
    body = _LINK_HEADER.pack(0, 0, index, 0, 0)
    body += u32(_IFLA_NETNS_FD, netns) + text(_IFLA_NAME, name)
    return Request(_NEW_LINK, 0, body, f"move link {index} as {name}")
