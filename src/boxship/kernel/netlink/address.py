"""Addresses, routes and neighbours (include/uapi/linux/{if_addr,rtnetlink,neighbour}.h)."""

import errno
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
    u32,
)

_NEW_ADDRESS, _DELETE_ADDRESS, _GET_ADDRESS = 20, 21, 22
_NEW_ROUTE, _GET_ROUTE = 24, 26
_NEW_NEIGHBOUR = 28
_ADDRESS_HEADER = struct.Struct("=BBBBi")  # struct ifaddrmsg
_ROUTE_HEADER = struct.Struct("=BBBBBBBBI")  # struct rtmsg
_NEIGHBOUR_HEADER = struct.Struct("=BxxxiHBB")  # struct ndmsg

_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_RTA_DESTINATION, _RTA_OUTPUT, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_TABLE = 1, 4, 5, 6, 15
_TABLE_MAIN = 254
_PROTOCOL_STATIC = 4
_UNICAST = 1
_FLAG_REPLACE = 0x100
_NUD_PERMANENT = 0x80


class Address(NamedTuple):
    """An address of a link of the namespace."""

    link: int
    address: str
    prefix: int


class Route(NamedTuple):
    """A unicast route of the main table; `destination` is empty for a default route."""

    link: int
    destination: str
    prefix: int
    gateway: str
    metric: int


def _packed(address: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


def _unpacked(family: int, payload: bytes | None) -> str:
    return socket.inet_ntop(family, payload) if payload else ""


def _address(kind: int, link: int, address: str, prefix: int) -> bytes:
    family, packed = _packed(address)
    body = _ADDRESS_HEADER.pack(family, prefix, 0, 0, link)
    body += attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)
    if kind == _NEW_ADDRESS and family == socket.AF_INET and prefix < 31:
        host = (1 << (32 - prefix)) - 1
        broadcast = int.from_bytes(packed, "big") | host
        body += attribute(_IFA_BROADCAST, broadcast.to_bytes(4, "big"))
    return body


def add_address(link: int, address: str, prefix: int) -> Request:
    body = _address(_NEW_ADDRESS, link, address, prefix)
    what = f"add address {address}/{prefix}"
    return Request(_NEW_ADDRESS, FLAG_CREATE | FLAG_EXCL, body, what, (errno.EEXIST,))


def delete_address(link: int, address: str, prefix: int) -> Request:
    body = _address(_DELETE_ADDRESS, link, address, prefix)
    what = f"delete address {address}/{prefix}"
    return Request(_DELETE_ADDRESS, 0, body, what, (errno.EADDRNOTAVAIL,))


def add_route(link: int, gateway: str, destination: str = "", prefix: int = 0) -> Request:
    """A static route through a gateway; without a destination, the default route."""
    family, packed = _packed(gateway)
    body = _ROUTE_HEADER.pack(family, prefix, 0, 0, _TABLE_MAIN, _PROTOCOL_STATIC, 0, _UNICAST, 0)
    if destination:
        body += attribute(_RTA_DESTINATION, _packed(destination)[1])
    body += attribute(_RTA_GATEWAY, packed) + u32(_RTA_OUTPUT, link)
    what = f"add route {destination or 'default'} via {gateway}"
    return Request(_NEW_ROUTE, FLAG_CREATE | FLAG_EXCL, body, what)


def add_neighbour(link: int, address: str, mac: str) -> Request:
    """A fixed neighbour entry, replacing what was learned."""
    family, packed = _packed(address)
    body = _NEIGHBOUR_HEADER.pack(family, link, _NUD_PERMANENT, 0, 0)
    body += attribute(1, packed) + attribute(2, bytes.fromhex(mac.replace(":", "")))
    return Request(_NEW_NEIGHBOUR, FLAG_CREATE | _FLAG_REPLACE, body, f"add neighbour {address}")


def addresses(route: RouteSocket, family: int = socket.AF_INET) -> list[Address]:
    """Every address of one family in the socket's namespace."""
    request = Request(_GET_ADDRESS, 0, _ADDRESS_HEADER.pack(family, 0, 0, 0, 0), "list addresses")
    listed: list[Address] = []
    for body in route.dump(request):
        its_family, prefix, _flags, _scope, link = _ADDRESS_HEADER.unpack_from(body)
        found = attributes(body[_ADDRESS_HEADER.size :])
        packed = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
        listed.append(Address(link, _unpacked(its_family, packed), prefix))
    return listed


def routes(route: RouteSocket, family: int = socket.AF_INET) -> list[Route]:
    """The unicast routes of the main table in the socket's namespace."""
    head = _ROUTE_HEADER.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    listed: list[Route] = []
    for body in route.dump(Request(_GET_ROUTE, 0, head, "list routes")):
        fields = _ROUTE_HEADER.unpack_from(body)
        its_family, prefix, table, kind = fields[0], fields[1], fields[4], fields[7]
        found = attributes(body[_ROUTE_HEADER.size :])
        if (number(found.get(_RTA_TABLE)) or table) != _TABLE_MAIN or kind != _UNICAST:
            continue
        listed.append(
            Route(
                link=number(found.get(_RTA_OUTPUT)),
                destination=_unpacked(its_family, found.get(_RTA_DESTINATION)),
                prefix=prefix,
                gateway=_unpacked(its_family, found.get(_RTA_GATEWAY)),
                metric=number(found.get(_RTA_PRIORITY)),
            )
        )
    return listed
