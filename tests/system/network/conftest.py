"""A private network namespace as the host, and namespaces to stand for containers."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from boxship.kernel import abi, netlink
from boxship.kernel.namespaces import setns, unshare
from boxship.kernel.netns import entered
from boxship.network import NetworkSettings
from boxship.storage.records.database import Database


def _open_own() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@pytest.fixture
def host() -> Iterator[int]:
    """Move the test into a fresh network namespace with loopback up; its descriptor."""
    before = _open_own()
    unshare(abi.CLONE_NEWNET)
    inside = _open_own()
    with netlink.RouteSocket() as route:
        route.transact([netlink.change_link(1)])
    yield inside
    setns(before, abi.CLONE_NEWNET)
    os.close(inside)
    os.close(before)


@pytest.fixture
def new_netns() -> Iterator[Callable[[], int]]:
    """Make empty network namespaces; they die with their descriptors."""
    made: list[int] = []

    def make() -> int:
        own = _open_own()
        unshare(abi.CLONE_NEWNET)
        made.append(_open_own())
        setns(own, abi.CLONE_NEWNET)
        os.close(own)
        return made[-1]

    yield make
    for descriptor in made:
        os.close(descriptor)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "boxship.db")
    yield opened
    opened.close()


@pytest.fixture
def settings() -> NetworkSettings:
    return NetworkSettings(bridge="bxtest0", table="boxship_test", bip="10.213.0.1/24")


class Peer:
    """A host on the outside, joined to the test's host by a cable: 10.99.0.1 <-> 10.99.0.2."""

    address = "10.99.0.2"
    host_address = "10.99.0.1"

    def __init__(self, netns: int) -> None:
        self.netns = netns
        with netlink.RouteSocket() as route:
            pair = netlink.VethPair("up0", 0, 1400, "eth0", netns, "02:00:00:00:00:02")
            route.transact([netlink.add_veth(pair)])
            index = socket.if_nametoindex("up0")
            route.transact(
                [
                    netlink.add_address(index, self.host_address, 24),
                ]
            )
        with entered(netns), netlink.RouteSocket() as route:
            index = socket.if_nametoindex("eth0")
            route.transact(
                [
                    netlink.change_link(1),
                    netlink.change_link(index),
                    netlink.add_address(index, self.address, 24),
                ]
            )

    def add_route(self, destination: str, prefix: int) -> None:
        with entered(self.netns), netlink.RouteSocket() as route:
            index = socket.if_nametoindex("eth0")
            route.transact([netlink.add_route(index, self.host_address, destination, prefix)])


@pytest.fixture
def outside(host: int, new_netns: Callable[[], int]) -> Peer:
    del host
    return Peer(new_netns())
