"""Published ports of running containers: a reservation and a rule each."""

import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple

from boxship.errors import BoxshipError
from boxship.log import warn
from boxship.model.container import PortBinding, PublishedPort
from boxship.network.firewall import Firewall, Forwarding
from boxship.network.ports import PortAllocator, Reservation


class Destination(NamedTuple):
    """Where ports lead: the endpoint that a container is reached by.

    `host_ip` is the address to publish on where a binding names none.
    """

    container_id: str
    container_name: str
    endpoint_id: str
    address: str
    host_ip: str


class _Publication(NamedTuple):
    reservations: tuple[Reservation, ...]
    forwardings: tuple[Forwarding, ...]


class Publisher:
    """Keeps, for each container, what is reserved and forwarded.

    Args:
        allocator: of host ports.
        firewall: that forwards.
        forget: makes the host forget flows of a protocol (by number) to a port. A UDP flow that
            goes on has no beginning at which it would meet a changed rule.
    """

    def __init__(
        self,
        allocator: PortAllocator,
        firewall: Firewall,
        forget: Callable[[int, int], None] = lambda _protocol, _port: None,
    ) -> None:
        self._allocator = allocator
        self._firewall = firewall
        self._forget = forget
        self._published: dict[str, _Publication] = {}

    def publish(
        self, destination: Destination, bindings: Sequence[PortBinding]
    ) -> list[PublishedPort]:
        """Reserve and forward, all or none.

        Raises:
            BoxshipError: a port cannot be had; the kind is the allocator's.
            NftablesError: the rules were refused.
        """
        reservations: list[Reservation] = []
        try:
            for binding in bindings:
                # One at a time into the list: when the next fails, these are given back.
                reservations += [self._allocator.reserve(binding, destination.host_ip)]
            forwardings = [_forwarding(each, destination.address) for each in reservations]
            self._firewall.publish(forwardings)
            self._forget_flows(forwardings)
        except BaseException as failure:
            self._allocator.release(reservations)
            if isinstance(failure, BoxshipError):
                raise _explained(failure, destination) from failure
            raise
        self._keep(destination.container_id, reservations, forwardings)
        return [_port(reservation) for reservation in reservations]

    def adopt(self, container_id: str, address: str, ports: Sequence[PublishedPort]) -> None:
        """Take ports over that an earlier daemon forwarded: the rules are there, sockets are not.

        A port that another program took meanwhile stays forwarded, with a warning.
        """
        reservations: list[Reservation] = []
        forwardings: list[Forwarding] = []
        for port in ports:
            if not port.host_port:
                continue
            host_ip, number = port.host_ip, port.host_port
            forwardings.append(
                Forwarding(port.protocol, host_ip, number, address, port.container_port)
            )
            binding = PortBinding(port.container_port, port.protocol, host_ip, number)
            try:
                reservations.append(self._allocator.reserve(binding))
            except BoxshipError as failure:
                warn(f"container {container_id[:12]} keeps port {number}: {failure.message}")
        self._keep(container_id, reservations, forwardings)

    def unpublish(self, container_id: str) -> None:
        """Give everything of the container up; does nothing when it has nothing."""
        publication = self._published.pop(container_id, None)
        if publication is None:
            return
        try:
            self._firewall.withdraw(publication.forwardings)
            self._forget_flows(publication.forwardings)
        finally:
            self._allocator.release(publication.reservations)

    def forwardings(self) -> list[Forwarding]:
        return [each for entry in self._published.values() for each in entry.forwardings]

    def close(self) -> None:
        """Close the sockets and leave the rules to the next daemon."""
        for publication in self._published.values():
            self._allocator.release(publication.reservations)
        self._published.clear()

    def _forget_flows(self, forwardings: Sequence[Forwarding]) -> None:
        for port in sorted({each.host_port for each in forwardings if each.protocol == "udp"}):
            self._forget(socket.IPPROTO_UDP, port)

    def _keep(
        self,
        container_id: str,
        reservations: Sequence[Reservation],
        forwardings: Sequence[Forwarding],
    ) -> None:
        before = self._published.get(container_id, _Publication((), ()))
        self._published[container_id] = _Publication(
            (*before.reservations, *reservations), (*before.forwardings, *forwardings)
        )


def _forwarding(reservation: Reservation, address: str) -> Forwarding:
    binding = reservation.binding
    return Forwarding(
        binding.protocol,
        reservation.host_ip,
        reservation.host_port,
        address,
        binding.container_port,
    )


def _port(reservation: Reservation) -> PublishedPort:
    binding = reservation.binding
    return PublishedPort(
        binding.container_port, binding.protocol, reservation.host_ip, reservation.host_port
    )


def _explained(failure: BoxshipError, destination: Destination) -> BoxshipError:
    return type(failure)(
        f"driver failed programming external connectivity on endpoint "
        f"{destination.container_name} ({destination.endpoint_id}): {failure.message}",
        hint=failure.hint or "free the port, or publish on another",
    )
