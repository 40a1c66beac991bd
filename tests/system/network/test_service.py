import asyncio
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from boxship.errors import ForbiddenError, InternalError, NotFoundError
from boxship.kernel import netlink
from boxship.kernel.netns import entered, open_netns, socket_in
from boxship.kernel.nftables import Nftables
from boxship.model.container import EndpointRequest, PortBinding
from boxship.model.network import IpamPool, NetworkRequest
from boxship.network import NetworkService, NetworkSettings, Sandbox
from boxship.storage.records.database import Database

pytestmark = [pytest.mark.root, pytest.mark.netns]
_TIMEOUT = 1.0
_EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - in a namespace of its own


class Peer(Protocol):
    """The host on the outside that the fixture makes."""

    netns: int
    address: str
    host_address: str

    def add_route(self, destination: str, prefix: int) -> None: ...


def sandbox(name: str, netns: int) -> Sandbox:
    return Sandbox(container_id=name.encode().hex().ljust(64, "0"), name=name, netns=netns)


@asynccontextmanager
async def running(database: Database, settings: NetworkSettings) -> AsyncIterator[NetworkService]:
    service = NetworkService(database, settings)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


def listen(netns: int, port: int = 80, kind: int = socket.SOCK_STREAM) -> socket.socket:
    server = socket_in(netns, socket.AF_INET, kind)
    server.bind((_EVERY_ADDRESS, port))
    server.settimeout(_TIMEOUT)
    if kind == socket.SOCK_STREAM:
        server.listen(8)
    return server


def talk(server: socket.socket, netns: int, address: str, port: int) -> tuple[str, bytes]:
    """Connect from a namespace: who the server saw, and what came back."""
    with socket_in(netns, socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(_TIMEOUT)
        client.connect((address, port))
        connection, seen = server.accept()
        with connection:
            connection.sendall(b"hello")
        return seen[0], client.recv(16)


def reaches(netns: int, address: str, port: int, patience: float = 0.07) -> bool:
    with socket_in(netns, socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(patience)
        try:
            client.connect((address, port))
        except OSError:
            return False
        return True


def test_default_networks_survive_a_restart(
    host: int, database: Database, settings: NetworkSettings
) -> None:
    async def scenario() -> None:
        async with running(database, settings) as service:
            first = {network.name: network for network in service.list()}
        async with running(database, settings) as service:
            assert {network.name: network for network in service.list()} == first
        assert sorted(first) == ["bridge", "host", "none"]
        assert first["bridge"].pools[0].gateway == "10.213.0.1"
        assert first["bridge"].link == "bxtest0"

    asyncio.run(scenario())


def test_two_containers_talk_on_the_default_bridge(
    host: int, database: Database, settings: NetworkSettings, new_netns: Callable[[], int]
) -> None:
    async def scenario() -> None:
        one, two = new_netns(), new_netns()
        async with running(database, settings) as service:
            first = await service.join(sandbox("one", one), "bridge")
            second = await service.join(sandbox("two", two), "bridge")
            assert (first.ipv4_address, second.ipv4_address) == ("10.213.0.2", "10.213.0.3")
            assert first.mac_address == "02:42:0a:d5:00:02"
            with listen(two) as server:
                assert talk(server, one, second.ipv4_address, 80) == ("10.213.0.2", b"hello")
                assert talk(server, host, second.ipv4_address, 80) == ("10.213.0.1", b"hello")
            network = service.get("bridge")
            assert service.containers(network.id) == {
                sandbox("one", one).container_id: first,
                sandbox("two", two).container_id: second,
            }

    asyncio.run(scenario())


def test_the_interface_is_as_docker_makes_it(
    host: int, database: Database, settings: NetworkSettings, new_netns: Callable[[], int]
) -> None:
    async def scenario() -> None:
        one = new_netns()
        async with running(database, settings) as service:
            await service.join(sandbox("one", one), "bridge")
            with entered(one), netlink.RouteSocket() as route:
                links = {link.name: link for link in netlink.links(route)}
                routes = netlink.routes(route)
            assert links["lo"].up
            assert links["eth0"].up
            assert links["eth0"].mac == "02:42:0a:d5:00:02"
            assert [(r.destination, r.gateway) for r in routes] == [
                ("", "10.213.0.1"),
                ("10.213.0.0", ""),
            ]

    asyncio.run(scenario())


def test_traffic_to_the_outside_is_masqueraded(
    outside: Peer, database: Database, settings: NetworkSettings, new_netns: Callable[[], int]
) -> None:
    async def scenario() -> None:
        one = new_netns()
        async with running(database, settings) as service:
            await service.join(sandbox("one", one), "bridge")
            with listen(outside.netns) as server:
                assert talk(server, one, outside.address, 80) == ("10.99.0.1", b"hello")

    asyncio.run(scenario())


def test_a_published_port_is_reached_from_everywhere(
    host: int,
    outside: Peer,
    database: Database,
    settings: NetworkSettings,
    new_netns: Callable[[], int],
) -> None:
    async def scenario() -> None:
        one, two, three = new_netns(), new_netns(), new_netns()
        async with running(database, settings) as service:
            await service.create(NetworkRequest("other"))
            endpoint = await service.join(sandbox("one", one), "bridge")
            await service.join(sandbox("two", two), "bridge")
            await service.join(sandbox("three", three), "other")
            ports = await service.publish(
                sandbox("one", one).container_id,
                endpoint.ipv4_address,
                [PortBinding(80, host_port=8080), PortBinding(80)],
            )
            assert (ports[0].host_ip, ports[0].host_port) == (_EVERY_ADDRESS, 8080)
            assert 49153 <= ports[1].host_port <= 65535
            with listen(one) as server:
                # From outside, with the sender's address kept.
                assert talk(server, outside.netns, "10.99.0.1", 8080) == ("10.99.0.2", b"hello")
                # From the host: loopback, its own address, the gateway, the ephemeral port.
                for address in ("127.0.0.1", "10.99.0.1", "10.213.0.1"):
                    assert talk(server, host, address, 8080) == ("10.213.0.1", b"hello")
                assert talk(server, host, "127.0.0.1", ports[1].host_port)[1] == b"hello"
                # From a neighbour, from another network, and from the container itself.
                assert talk(server, two, "10.99.0.1", 8080)[1] == b"hello"
                assert talk(server, three, "10.99.0.1", 8080)[1] == b"hello"
                assert talk(server, one, "10.99.0.1", 8080)[1] == b"hello"
            await service.unpublish(sandbox("one", one).container_id)
            assert not reaches(outside.netns, "10.99.0.1", 8080)

    asyncio.run(scenario())


def test_publishing_on_one_address_leaves_the_others_alone(
    host: int,
    outside: Peer,
    database: Database,
    settings: NetworkSettings,
    new_netns: Callable[[], int],
) -> None:
    async def scenario() -> None:
        one = new_netns()
        async with running(database, settings) as service:
            endpoint = await service.join(sandbox("one", one), "bridge")
            binding = PortBinding(80, host_ip="127.0.0.1", host_port=8080)
            await service.publish(
                sandbox("one", one).container_id, endpoint.ipv4_address, [binding]
            )
            with listen(one) as server:
                assert talk(server, host, "127.0.0.1", 8080)[1] == b"hello"
                assert not reaches(outside.netns, "10.99.0.1", 8080)
                # A neighbour that routes 127.0.0.1 to us (CVE-2020-8558) gets nowhere.
                with entered(outside.netns), netlink.RouteSocket() as route:
                    _route_loopback(route, outside.host_address)
                assert not reaches(outside.netns, "127.0.0.1", 8080)

    asyncio.run(scenario())


def _route_loopback(route: netlink.RouteSocket, gateway: str) -> None:
    """In the current namespace: send packets for 127.0.0.1 out by eth0."""
    Path("/proc/sys/net/ipv4/conf/eth0/route_localnet").write_text("1")
    route.transact([netlink.delete_address(1, "127.0.0.1", 8)])
    eth0 = socket.if_nametoindex("eth0")
    route.transact([netlink.add_route(eth0, gateway, "127.0.0.1", 32)])


def test_udp_ports_are_published(
    host: int,
    outside: Peer,
    database: Database,
    settings: NetworkSettings,
    new_netns: Callable[[], int],
) -> None:
    async def scenario() -> None:
        one = new_netns()
        async with running(database, settings) as service:
            endpoint = await service.join(sandbox("one", one), "bridge")
            await service.publish(
                sandbox("one", one).container_id,
                endpoint.ipv4_address,
                [PortBinding(53, protocol="udp", host_port=5353)],
            )
            with (
                listen(one, 53, socket.SOCK_DGRAM) as server,
                socket_in(outside.netns, socket.AF_INET, socket.SOCK_DGRAM) as client,
            ):
                client.settimeout(_TIMEOUT)
                client.sendto(b"ping", ("10.99.0.1", 5353))
                data, sender = server.recvfrom(16)
                server.sendto(data + b" pong", sender)
                assert client.recvfrom(16) == (b"ping pong", ("10.99.0.1", 5353))

    asyncio.run(scenario())


def test_a_udp_client_that_goes_on_follows_the_port(
    host: int,
    outside: Peer,
    database: Database,
    settings: NetworkSettings,
    new_netns: Callable[[], int],
) -> None:
    async def scenario() -> None:
        binding = PortBinding(53, protocol="udp", host_port=5353)
        async with running(database, settings) as service:
            with socket_in(outside.netns, socket.AF_INET, socket.SOCK_DGRAM) as client:
                # Nobody listens yet; the flow is tracked all the same.
                client.sendto(b"0", ("10.99.0.1", 5353))
                for name in ("one", "two"):
                    netns = new_netns()
                    endpoint = await service.join(sandbox(name, netns), "bridge")
                    with listen(netns, 53, socket.SOCK_DGRAM) as server:
                        key = sandbox(name, netns).container_id
                        await service.publish(key, "", [binding])
                        client.sendto(name.encode(), ("10.99.0.1", 5353))
                        assert server.recv(16) == name.encode()
                        await service.unpublish(key)
                        await service.leave(key, endpoint)

    asyncio.run(scenario())


def test_flushed_rules_are_made_again(
    host: int,
    outside: Peer,
    database: Database,
    settings: NetworkSettings,
    new_netns: Callable[[], int],
) -> None:
    async def scenario() -> None:
        one, two = new_netns(), new_netns()
        async with running(database, settings) as service:
            await service.join(sandbox("one", one), "bridge")
            await service.join(sandbox("two", two), "bridge")
            ids = [sandbox("one", one).container_id, sandbox("two", two).container_id]
            await service.publish(ids[0], "", [PortBinding(80, host_port=8080)])
            with Nftables() as nft:
                nft.run("flush ruleset")
            await service.publish(ids[1], "", [PortBinding(80, host_port=8081)])
            with listen(one) as first, listen(two) as second:
                assert talk(first, outside.netns, "10.99.0.1", 8080)[1] == b"hello"
                assert talk(second, outside.netns, "10.99.0.1", 8081)[1] == b"hello"

    asyncio.run(scenario())


def test_nothing_unsolicited_reaches_a_container(
    outside: Peer, database: Database, settings: NetworkSettings, new_netns: Callable[[], int]
) -> None:
    async def scenario() -> None:
        one, two = new_netns(), new_netns()
        async with running(database, settings) as service:
            await service.create(NetworkRequest("other", pools=(IpamPool("10.214.0.0/24"),)))
            first = await service.join(sandbox("one", one), "bridge")
            second = await service.join(sandbox("two", two), "other")
            outside.add_route("10.213.0.0", 24)
            with listen(one), listen(two):
                assert not reaches(outside.netns, first.ipv4_address, 80)
                assert not reaches(one, second.ipv4_address, 80)
                assert not reaches(two, first.ipv4_address, 80)

    asyncio.run(scenario())


def test_containers_do_not_reach_the_hosts_loopback(
    host: int, database: Database, settings: NetworkSettings, new_netns: Callable[[], int]
) -> None:
    async def scenario() -> None:
        one = new_netns()
        async with running(database, settings) as service:
            await service.join(sandbox("one", one), "bridge")
            with entered(one), netlink.RouteSocket() as route:
                _route_loopback(route, "10.213.0.1")
            with listen(host, 7777):
                assert reaches(host, "127.0.0.1", 7777, _TIMEOUT)
                assert not reaches(one, "127.0.0.1", 7777)
                assert reaches(one, "10.213.0.1", 7777, _TIMEOUT)

    asyncio.run(scenario())


def test_an_internal_network_stays_inside(
    outside: Peer, database: Database, settings: NetworkSettings, new_netns: Callable[[], int]
) -> None:
    async def scenario() -> None:
        one, two = new_netns(), new_netns()
        async with running(database, settings) as service:
            await service.create(NetworkRequest("inside", internal=True))
            first = await service.join(sandbox("one", one), "inside")
            second = await service.join(sandbox("two", two), "inside")
            assert first.gateway == ""
            with listen(two) as server, listen(outside.netns):
                assert talk(server, one, second.ipv4_address, 80)[1] == b"hello"
                assert not reaches(one, outside.address, 80)
                with entered(one), netlink.RouteSocket() as route:
                    gateway = service.get("inside").pools[0].gateway
                    eth0 = socket.if_nametoindex("eth0")
                    route.transact([netlink.add_route(eth0, gateway)])
                assert not reaches(one, outside.address, 80)

    asyncio.run(scenario())


def test_without_icc_neighbours_are_out_of_reach(
    host: int, database: Database, settings: NetworkSettings, new_netns: Callable[[], int]
) -> None:
    async def scenario() -> None:
        one, two = new_netns(), new_netns()
        async with running(database, msgspec.structs.replace(settings, icc=False)) as service:
            await service.join(sandbox("one", one), "bridge")
            second = await service.join(sandbox("two", two), "bridge")
            with listen(two):
                assert reaches(host, second.ipv4_address, 80, _TIMEOUT)
                assert not reaches(one, second.ipv4_address, 80)

    asyncio.run(scenario())


def test_a_taken_port_is_refused_in_dockers_words(
    host: int, database: Database, settings: NetworkSettings, new_netns: Callable[[], int]
) -> None:
    async def scenario() -> None:
        one, two = new_netns(), new_netns()
        async with running(database, settings) as service:
            first = await service.join(sandbox("one", one), "bridge")
            second = await service.join(sandbox("two", two), "bridge")
            taken = PortBinding(80, host_port=8080)
            await service.publish(sandbox("one", one).container_id, first.ipv4_address, [taken])
            with pytest.raises(InternalError) as refused:
                await service.publish(
                    sandbox("two", two).container_id,
                    second.ipv4_address,
                    [PortBinding(80, host_port=8081), taken],
                )
            assert refused.value.message == (
                "driver failed programming external connectivity on endpoint two "
                f"({second.endpoint_id}): Bind for 0.0.0.0:8080 failed: port is already allocated"
            )
            with listen(host, 8081), pytest.raises(InternalError) as foreign:
                await service.publish(
                    sandbox("two", two).container_id,
                    second.ipv4_address,
                    [PortBinding(80, host_port=8081)],
                )
            assert foreign.value.message.endswith(
                "listen tcp4 0.0.0.0:8081: bind: address already in use"
            )

    asyncio.run(scenario())


def test_a_running_container_survives_the_daemon(
    outside: Peer, database: Database, settings: NetworkSettings, new_netns: Callable[[], int]
) -> None:
    async def scenario() -> None:
        one, dead = new_netns(), new_netns()
        async with running(database, settings) as service:
            endpoint = await service.join(sandbox("one", one), "bridge")
            ports = await service.publish(
                sandbox("one", one).container_id,
                endpoint.ipv4_address,
                [PortBinding(80, host_port=8080)],
            )
            lost = await service.join(sandbox("dead", dead), "bridge")
            await service.publish(
                sandbox("dead", dead).container_id,
                lost.ipv4_address,
                [PortBinding(80, host_port=8081)],
            )
        with listen(one) as server:
            assert talk(server, outside.netns, "10.99.0.1", 8080)[1] == b"hello"
            async with running(database, settings) as service:
                await service.adopt(sandbox("one", one), [endpoint], ports)
                await service.reconcile()
                assert talk(server, outside.netns, "10.99.0.1", 8080)[1] == b"hello"
                with pytest.raises(InternalError):
                    await service.publish(
                        sandbox("one", one).container_id,
                        endpoint.ipv4_address,
                        [PortBinding(81, host_port=8080)],
                    )
                assert lost.host_link not in _link_names()
                assert endpoint.host_link in _link_names()
                with Nftables() as nft:
                    assert "8081" not in nft.run("list ruleset")
                fresh = await service.join(sandbox("new", new_netns()), "bridge")
                assert fresh.ipv4_address != endpoint.ipv4_address

    asyncio.run(scenario())


def _link_names() -> set[str]:
    with netlink.RouteSocket() as route:
        return {link.name for link in netlink.links(route)}


def test_removing_a_network_removes_its_traces(
    host: int, database: Database, settings: NetworkSettings, new_netns: Callable[[], int]
) -> None:
    async def scenario() -> None:
        one = new_netns()
        async with running(database, settings) as service:
            with Nftables() as nft:
                before = nft.run("list ruleset")
            network = await service.create(NetworkRequest("mine"))
            assert network.link == f"bx-{network.id[:12]}"
            endpoint = await service.join(sandbox("one", one), "mine")
            with pytest.raises(ForbiddenError) as active:
                await service.remove("mine")
            assert active.value.message == (
                f"error while removing network: network mine id {network.id} has active endpoints"
            )
            await service.leave(sandbox("one", one).container_id, endpoint, netns=one)
            assert endpoint.host_link not in _link_names()
            await service.remove(network.id[:12])
            assert network.link not in _link_names()
            with Nftables() as nft:
                assert nft.run("list ruleset") == before
            with pytest.raises(NotFoundError):
                service.get("mine")

    asyncio.run(scenario())


def test_a_failed_join_leaves_nothing(
    host: int, database: Database, settings: NetworkSettings, new_netns: Callable[[], int]
) -> None:
    async def scenario() -> None:
        async with running(database, settings) as service:
            links = _link_names()
            not_a_namespace = os.open("/dev/null", os.O_RDONLY)
            try:
                with pytest.raises(OSError, match="add veth"):
                    await service.join(sandbox("one", not_a_namespace), "bridge")
            finally:
                os.close(not_a_namespace)
            assert _link_names() == links
            again = await service.join(sandbox("one", new_netns()), "bridge")
            assert again.ipv4_address == "10.213.0.3"

    asyncio.run(scenario())


def test_a_second_network_adds_an_interface_but_no_default_route(
    host: int, database: Database, settings: NetworkSettings, new_netns: Callable[[], int]
) -> None:
    async def scenario() -> None:
        one = new_netns()
        async with running(database, settings) as service:
            await service.create(NetworkRequest("a", pools=(IpamPool("10.214.0.0/24"),)))
            await service.create(NetworkRequest("b", pools=(IpamPool("10.215.0.0/24"),)))
            first = await service.join(sandbox("one", one), "a")
            second = await service.join(
                sandbox("one", one), "b", EndpointRequest(ipv4_address="10.215.0.77")
            )
            assert second.container_link == "eth1"
            assert second.ipv4_address == "10.215.0.77"
            assert _default_gateways(one) == ["10.214.0.1"]
            await service.leave(sandbox("one", one).container_id, first, netns=one)
            assert _default_gateways(one) == ["10.215.0.1"]

    asyncio.run(scenario())


def _default_gateways(netns: int) -> list[str]:
    with entered(netns), netlink.RouteSocket() as route:
        return [each.gateway for each in netlink.routes(route) if not each.destination]


def test_host_and_none_are_networks_too(
    host: int, database: Database, settings: NetworkSettings, new_netns: Callable[[], int]
) -> None:
    async def scenario() -> None:
        one = new_netns()
        async with running(database, settings) as service:
            quiet = await service.join(sandbox("one", one), "none")
            shared = await service.join(sandbox("two", -1), "host")
            assert (quiet.network_name, shared.network_name) == ("none", "host")
            with entered(one), netlink.RouteSocket() as route:
                assert [(link.name, link.up) for link in netlink.links(route)] == [("lo", True)]
            await service.leave(sandbox("two", -1).container_id, shared)
            assert service.containers(service.get("host").id) == {}

    asyncio.run(scenario())


@pytest.mark.userns
def test_a_namespace_of_a_user_namespace_is_joined_by_the_host(
    host: int, database: Database, settings: NetworkSettings
) -> None:
    command = ["unshare", "--user", "--net", "--map-root-user", "sh", "-c", "echo; read _"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin
        assert child.stdout
        child.stdout.readline()

        async def scenario() -> None:
            netns = open_netns(child.pid)
            async with running(database, settings) as service:
                await service.create(NetworkRequest("mine"))
                first = await service.join(sandbox("one", netns), "bridge")
                second = await service.join(sandbox("one", netns), "mine")
                with listen(netns) as server:
                    for endpoint in (first, second):
                        assert talk(server, host, endpoint.ipv4_address, 80)[1] == b"hello"
                await service.leave(sandbox("one", netns).container_id, first)
                await service.leave(sandbox("one", netns).container_id, second)
            os.close(netns)

        asyncio.run(scenario())
        child.stdin.close()
