"""Netlink messages: packing requests and taking answers apart.

Everything is in host byte order and padded to four bytes (netlink(7)); addresses are in network
byte order.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_NESTED = 0x8000
_TYPE_MASK = 0x3FFF

FLAG_REQUEST = 0x1
FLAG_MULTI = 0x2
FLAG_ACK = 0x4
FLAG_EXCL = 0x200
FLAG_CREATE = 0x400
FLAG_DUMP = 0x300

TYPE_ERROR = 2
TYPE_DONE = 3


class Request(NamedTuple):
    """One message to the kernel.

    Attributes:
        kind: RTM_* number.
        flags: NLM_F_* beyond REQUEST and ACK.
        body: family header and attributes.
        what: the request in words, for the error (`add link veth0`).
        tolerate: error numbers that mean the wish is already true.
    """

    kind: int
    flags: int
    body: bytes
    what: str
    tolerate: tuple[int, ...] = ()


def attribute(kind: int, payload: bytes) -> bytes:
    length = 4 + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + b"\0" * (-length % 4)


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def u8(kind: int, value: int) -> bytes:
    return attribute(kind, bytes((value,)))


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(4, "little" if _LITTLE else "big"))


def nested(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | _NESTED, b"".join(parts))


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes of one level by kind; a kind that repeats keeps its last payload."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & _TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Each message of one datagram: kind, flags, sequence number, body."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, sequence, _port = HEADER.unpack_from(data, offset)
        if length < HEADER.size:
            break
        yield kind, flags, sequence, data[offset + HEADER.size : offset + length]
        offset += (length + 3) & ~3


def number(payload: bytes | None) -> int:
    """An unsigned integer in host order; 0 for an absent attribute."""
    return int.from_bytes(payload, "little" if _LITTLE else "big") if payload else 0


def string(payload: bytes | None) -> str:
    return payload.split(b"\0", 1)[0].decode() if payload else ""


_LITTLE = struct.pack("=H", 1) == b"\x01\x00"
