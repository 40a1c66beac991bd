"""Host ports: reserved by a bound socket, so that no other program takes them unnoticed.

The sockets never carry data: packets are redirected before they reach one. A TCP socket is bound
with SO_REUSEADDR, so that connections in TIME_WAIT do not block it, and gives the option up once
bound, so that it blocks everyone else without listening.
"""

import errno
import os
import socket
from collections.abc import Callable, Iterable
from typing import NamedTuple

from boxship.errors import ExhaustedError, InternalError, InvalidArgumentError, UnsupportedError
from boxship.model.container import PortBinding

_ANY = "0.0.0.0"  # noqa: S104 - what a port is published on by default
_EPHEMERAL = range(49153, 65536)
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class Reservation(NamedTuple):
    """A port that is ours until the socket is closed."""

    binding: PortBinding
    host_ip: str
    host_port: int
    socket: socket.socket


class PortAllocator:
    """The host ports of one daemon.

    Args:
        make_socket: makes a socket of a kind in the host's network namespace.
    """

    def __init__(self, make_socket: Callable[[int, int], socket.socket] = socket.socket) -> None:
        self._make_socket = make_socket
        self._taken: set[tuple[str, str, int]] = set()
        self._next = _EPHEMERAL.start

    def reserve(self, binding: PortBinding, default_ip: str = _ANY) -> Reservation:
        """Reserve the port that the binding asks for, the first free one of its range, or any.

        Raises:
            InternalError: it is taken, in Docker's words.
            ExhaustedError: every port of the range is taken.
            InvalidArgumentError: the address is not one of the host's.
            UnsupportedError: the protocol or the address family cannot be published.
        """
        if binding.protocol not in _KINDS:
            raise UnsupportedError(
                f"cannot publish {binding.protocol} ports", hint="use tcp or udp"
            )
        host_ip = binding.host_ip or default_ip
        if ":" in host_ip:
            raise UnsupportedError(
                f"cannot publish on {host_ip}: only IPv4 addresses are supported",
                hint="publish on an IPv4 address or on all",
            )
        if binding.host_port and not binding.host_port_end:
            return self._reserve_port(binding, host_ip, binding.host_port)
        return self._first_free(binding, host_ip)

    def release(self, reservations: Iterable[Reservation]) -> None:
        for reservation in reservations:
            reservation.socket.close()
            key = (reservation.binding.protocol, reservation.host_ip, reservation.host_port)
            self._taken.discard(key)

    def _first_free(self, binding: PortBinding, host_ip: str) -> Reservation:
        for port in self._candidates(binding):
            try:
                reservation = self._reserve_port(binding, host_ip, port)
            except InternalError:
                continue
            if not binding.host_port:
                self._next = port + 1
            return reservation
        span = f"{binding.host_port}-{binding.host_port_end}" if binding.host_port else "ephemeral"
        raise ExhaustedError(f"all ports are allocated: {span} on {host_ip}")

    def _candidates(self, binding: PortBinding) -> Iterable[int]:
        if binding.host_port:
            return range(binding.host_port, binding.host_port_end + 1)
        start = self._next if self._next in _EPHEMERAL else _EPHEMERAL.start
        return (*range(start, _EPHEMERAL.stop), *range(_EPHEMERAL.start, start))

    def _reserve_port(self, binding: PortBinding, host_ip: str, port: int) -> Reservation:
        key = (binding.protocol, host_ip, port)
        if self._is_taken(*key):
            raise InternalError(f"Bind for {host_ip}:{port} failed: port is already allocated")
        bound = self._bind(*key)
        self._taken.add(key)
        return Reservation(binding, host_ip, port, bound)

    def _is_taken(self, protocol: str, host_ip: str, port: int) -> bool:
        if (protocol, _ANY, port) in self._taken:
            return True
        if host_ip == _ANY:
            return any(taken[0] == protocol and taken[2] == port for taken in self._taken)
        return (protocol, host_ip, port) in self._taken

    def _bind(self, protocol: str, host_ip: str, port: int) -> socket.socket:
        bound = self._make_socket(socket.AF_INET, _KINDS[protocol])
        try:
            reuse = protocol == "tcp"
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
            bound.bind((host_ip, port))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        except OSError as failure:
            bound.close()
            text = f"listen {protocol}4 {host_ip}:{port}: bind: "
            number = failure.errno or 0
            if number == errno.EADDRNOTAVAIL:
                raise InvalidArgumentError(
                    f"{text}cannot assign requested address",
                    hint=f"{host_ip} is not an address of this host",
                ) from failure
            raise InternalError(text + os.strerror(number).lower()) from failure
        return bound
