import socket
from collections.abc import Iterator

import pytest

from boxship.errors import (
    ExhaustedError,
    InternalError,
    InvalidArgumentError,
    UnsupportedError,
)
from boxship.model.container import PortBinding
from boxship.network.ports import PortAllocator, Reservation

LOOPBACK = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of loopback that another program listens on."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def allocator() -> Iterator[tuple[PortAllocator, list[Reservation]]]:
    made = PortAllocator()
    reservations: list[Reservation] = []
    yield made, reservations
    made.release(reservations)


Allocator = tuple[PortAllocator, list[Reservation]]


def test_a_reserved_port_keeps_others_away(allocator: Allocator) -> None:
    ports, kept = allocator
    port = free_port()
    kept.append(ports.reserve(PortBinding(80, host_ip=LOOPBACK, host_port=port)))
    with pytest.raises(OSError, match="in use"):
        socket.create_server((LOOPBACK, port), reuse_port=False)
    with pytest.raises(InternalError) as refused:
        ports.reserve(PortBinding(81, host_ip=LOOPBACK, host_port=port))
    assert refused.value.message == (f"Bind for 127.0.0.1:{port} failed: port is already allocated")
    with pytest.raises(InternalError, match="port is already allocated"):
        ports.reserve(PortBinding(81, host_port=port))
    ports.release([kept.pop()])
    with socket.create_server((LOOPBACK, port)):
        pass


def test_a_reserved_port_refuses_connections(allocator: Allocator) -> None:
    ports, kept = allocator
    kept.append(ports.reserve(PortBinding(80, host_ip=LOOPBACK)))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, kept[0].host_port), timeout=1)


def test_protocols_do_not_disturb_each_other(allocator: Allocator) -> None:
    ports, kept = allocator
    port = free_port()
    kept += [
        ports.reserve(PortBinding(80, protocol, LOOPBACK, port)) for protocol in ("tcp", "udp")
    ]


def test_another_programs_port_is_noticed(allocator: Allocator, taken: int) -> None:
    ports, _ = allocator
    with pytest.raises(InternalError) as refused:
        ports.reserve(PortBinding(80, host_ip=LOOPBACK, host_port=taken))
    assert refused.value.message == (f"listen tcp4 127.0.0.1:{taken}: bind: address already in use")


def test_a_range_gives_its_first_free_port(allocator: Allocator, taken: int) -> None:
    ports, kept = allocator
    wish = PortBinding(80, host_ip=LOOPBACK, host_port=taken, host_port_end=taken + 20)
    kept.append(ports.reserve(wish))
    assert taken < kept[0].host_port <= taken + 20
    with pytest.raises(ExhaustedError, match="all ports are allocated"):
        ports.reserve(
            PortBinding(80, host_ip=LOOPBACK, host_port=taken, host_port_end=kept[0].host_port)
        )


def test_ephemeral_ports_follow_each_other(allocator: Allocator) -> None:
    ports, kept = allocator
    kept += [ports.reserve(PortBinding(80, host_ip=LOOPBACK)) for _ in range(3)]
    numbers = [reservation.host_port for reservation in kept]
    assert numbers == sorted(numbers)
    assert all(49153 <= number <= 65535 for number in numbers)


def test_what_cannot_be_published_is_refused() -> None:
    ports = PortAllocator()
    with pytest.raises(UnsupportedError, match="sctp"):
        ports.reserve(PortBinding(80, "sctp"))
    with pytest.raises(UnsupportedError, match="IPv4"):
        ports.reserve(PortBinding(80, host_ip="::1"))
    with pytest.raises(InvalidArgumentError, match="cannot assign requested address"):
        ports.reserve(PortBinding(80, host_ip="203.0.113.7", host_port=8080))
