import errno
import os
import socket
from collections.abc import Iterator

import pytest

from boxship.kernel import abi, netlink
from boxship.kernel.namespaces import setns, unshare
from boxship.kernel.netlink import NetlinkError, RouteSocket
from boxship.kernel.netns import entered, open_netns, socket_in
from boxship.kernel.nftables import Nftables, NftablesError

pytestmark = [pytest.mark.root, pytest.mark.netns]


def _open_own() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """A second, empty network namespace."""
    own = _open_own()
    unshare(abi.CLONE_NEWNET)
    made = _open_own()
    setns(own, abi.CLONE_NEWNET)
    yield made
    os.close(made)
    os.close(own)


@pytest.fixture
def route(elsewhere: int) -> Iterator[RouteSocket]:
    """A socket in a third namespace, which the test is in."""
    del elsewhere
    own = _open_own()
    unshare(abi.CLONE_NEWNET)
    with RouteSocket() as made:
        yield made
    setns(own, abi.CLONE_NEWNET)
    os.close(own)


def test_a_bridge_a_cable_an_address_and_a_route(route: RouteSocket, elsewhere: int) -> None:
    route.transact([netlink.add_bridge("b0", 1400, "02:42:0a:00:00:01")])
    bridge = socket.if_nametoindex("b0")
    pair = netlink.VethPair("v0", bridge, 1400, "eth0", elsewhere, "02:42:0a:00:00:02")
    route.transact([netlink.add_address(bridge, "10.0.0.1", 24), netlink.add_veth(pair)])
    links = {link.name: link for link in netlink.links(route)}
    assert (links["b0"].kind, links["b0"].up, links["b0"].mtu) == ("bridge", True, 1400)
    assert (links["v0"].kind, links["v0"].master, links["v0"].up) == ("veth", bridge, True)
    assert netlink.addresses(route) == [netlink.Address(bridge, "10.0.0.1", 24)]
    with entered(elsewhere), RouteSocket() as other:
        index = socket.if_nametoindex("eth0")
        other.transact(
            [
                netlink.change_link(index),
                netlink.add_address(index, "10.0.0.2", 24),
                netlink.add_route(index, "10.0.0.1"),
                netlink.settle_link("eth0"),
            ]
        )
        assert netlink.routes(other) == [
            netlink.Route(index, "", 0, "10.0.0.1", 0),
            netlink.Route(index, "10.0.0.0", 24, "", 0),
        ]


def test_a_refusal_names_the_request_and_gives_the_kernels_words(route: RouteSocket) -> None:
    route.transact([netlink.change_link(1)])
    with pytest.raises(NetlinkError) as refused:
        route.transact([netlink.add_route(1, "10.9.9.9"), netlink.add_bridge("b0", 1500, "02" * 6)])
    assert refused.value.errno == errno.ENETUNREACH
    assert str(refused.value) == (
        "add route default via 10.9.9.9: Network is unreachable (Nexthop has invalid gateway)"
    )
    # The batch went on.
    assert socket.if_nametoindex("b0")


def test_what_is_so_already_is_no_error(route: RouteSocket) -> None:
    route.transact([netlink.add_address(1, "10.0.0.1", 32)] * 2)
    route.transact([netlink.delete_link("nothing"), netlink.delete_address(1, "10.0.0.9", 32)])


def test_a_group_of_links_goes_at_once(route: RouteSocket) -> None:
    route.transact([netlink.add_bridge(f"b{n}", 1500, f"02:42:0a:00:00:0{n}") for n in range(4)])
    doomed = [link.ifindex for link in netlink.links(route) if link.name in ("b1", "b2")]
    route.transact([netlink.move_to_group(index, 77) for index in doomed])
    route.transact([netlink.delete_group(77)])
    assert [link.name for link in netlink.links(route)] == ["lo", "b0", "b3"]


def test_a_socket_belongs_to_the_namespace_it_was_made_in(elsewhere: int) -> None:
    own = _open_own()
    try:
        with (
            socket_in(elsewhere, socket.AF_INET, socket.SOCK_DGRAM) as made,
            # Its loopback is down: nothing is reachable there.
            pytest.raises(OSError, match="unreachable"),
        ):
            made.connect(("127.0.0.1", 9))
        now = _open_own()
        assert os.path.sameopenfile(own, now)
        os.close(now)
        same = open_netns(os.getpid())
        assert os.path.sameopenfile(own, same)
        os.close(same)
    finally:
        os.close(own)


def test_rules_are_all_or_nothing(route: RouteSocket) -> None:
    del route
    with Nftables() as nft:
        nft.run("add table ip t\nadd set ip t s { type ipv4_addr; }")
        with pytest.raises(NftablesError) as refused:
            nft.run("add element ip t s { 10.0.0.1 }\nadd element ip t absent { 10.0.0.1 }")
        assert refused.value.errno == errno.ENOENT
        assert "10.0.0.1" not in nft.run("list ruleset")
        with pytest.raises(NftablesError, match="syntax error"):
            nft.run("nonsense")
        nft.run("add element ip t s { 10.0.0.1 }")
        assert '"elem": ["10.0.0.1"]' in nft.run("list ruleset", json=True)
