"""A routing netlink socket: batches with acknowledgements, and dumps."""

import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Self

from boxship.kernel._libc import KernelError
from boxship.kernel.netlink.message import (
    FLAG_ACK,
    FLAG_DUMP,
    FLAG_REQUEST,
    HEADER,
    TYPE_DONE,
    TYPE_ERROR,
    Request,
    attributes,
    messages,
    string,
)

_SOL_NETLINK = 270
_CAP_ACK = 10  # errors do not echo the request
_EXT_ACK = 11  # errors come with words (kernel 4.12)
_STRICT_CHECK = 12  # dumps are filtered by the kernel (kernel 4.20)
_ERROR_MESSAGE = 1  # NLMSGERR_ATTR_MSG
_ACK_ATTRIBUTES = 0x200
# The kernel hands a dump out in buffers of up to 32 KiB.
_BUFFER = 65536


class NetlinkError(KernelError):
    """A refused request: `call` says what was asked, `detail` what the kernel said about it."""


class RouteSocket:
    """NETLINK_ROUTE in the network namespace that the calling thread is in when it is made.

    The kernel carries requests out during `send`, so answers are there when it returns.
    Not for use by two threads at once.
    """

    def __init__(self, endpoint: socket.socket | None = None) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket = endpoint or socket.socket(socket.AF_NETLINK, kind, 0)
        for option in (_CAP_ACK, _EXT_ACK, _STRICT_CHECK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def transact(self, requests: Sequence[Request]) -> None:
        """Send all requests at once and wait for every acknowledgement.

        The kernel goes on after a failure; the first one is raised.

        Raises:
            NetlinkError: a request was refused.
        """
        first = self._sequence + 1
        self._sequence += len(requests)
        self._send(
            b"".join(
                self._pack(request, FLAG_ACK, first + place)
                for place, request in enumerate(requests)
            )
        )
        failures: list[NetlinkError] = []
        waiting = len(requests)
        while waiting:
            for kind, flags, sequence, body in messages(self._receive()):
                if kind != TYPE_ERROR or sequence < first:
                    continue
                waiting -= 1
                failure = _failure(requests[sequence - first], flags, body)
                if failure:
                    failures.append(failure)
        if failures:
            raise failures[0]

    def dump(self, request: Request) -> Iterator[bytes]:
        """The bodies of every object that the kernel lists for the request.

        Raises:
            NetlinkError: the request was refused.
        """
        self._sequence += 1
        self._send(self._pack(request, FLAG_DUMP, self._sequence))
        while True:
            for kind, flags, sequence, body in messages(self._receive()):
                if sequence != self._sequence:
                    continue
                if kind == TYPE_DONE:
                    return
                if kind == TYPE_ERROR:
                    failure = _failure(request, flags, body)
                    if failure:
                        raise failure
                    return
                yield body

    @staticmethod
    def _pack(request: Request, flags: int, sequence: int) -> bytes:
        flags |= request.flags | FLAG_REQUEST
        length = HEADER.size + len(request.body)
        head = HEADER.pack(length, request.kind, flags, sequence, 0)
        return head + request.body + b"\0" * (-length % 4)

    def _send(self, data: bytes) -> None:
        self._socket.send(data)

    def _receive(self) -> bytes:
        return self._socket.recv(_BUFFER)


def _failure(request: Request, flags: int, body: bytes) -> NetlinkError | None:
    (code,) = struct.unpack_from("=i", body)
    if code == 0 or -code in request.tolerate:
        return None
    words = ""
    if flags & _ACK_ATTRIBUTES:
        # struct nlmsgerr: the number, the header of the request, then attributes.
        words = string(attributes(body[4 + HEADER.size :]).get(_ERROR_MESSAGE))
    return NetlinkError(-code, request.what, detail=words)
