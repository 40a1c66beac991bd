import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator

import msgspec
import pytest
from dnslib import QTYPE, RCODE, RR, A, DNSRecord

from boxship.kernel.netns import socket_in
from boxship.model.container import EndpointRequest
from boxship.model.network import NetworkRequest
from boxship.network import NetworkService, NetworkSettings, Sandbox
from boxship.storage.records.database import Database

pytestmark = [pytest.mark.root, pytest.mark.netns]
_RESOLVER = ("127.0.0.11", 53)
_ELSEWHERE = "203.0.113.9"


class Upstream:
    """A name server of the host that knows `elsewhere.example`, over UDP and TCP."""

    def __init__(self, address: str, rcode: int = RCODE.NOERROR) -> None:
        self.asked: list[str] = []
        self._rcode = rcode
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind((address, 53))
        self._streams = socket.create_server((address, 53))
        self._threads = [
            threading.Thread(target=work, daemon=True)
            for work in (self._serve_datagrams, self._serve_streams)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        # An empty datagram ends the loop.
        self._datagrams.sendto(b"", self._datagrams.getsockname())
        self._streams.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._datagrams.close()
        self._streams.close()

    def _answer(self, query: bytes, how: str) -> bytes:
        record = DNSRecord.parse(query)
        self.asked.append(how)
        reply = record.reply()
        reply.header.rcode = self._rcode
        if self._rcode == RCODE.NOERROR:
            reply.add_answer(RR(record.q.qname, QTYPE.A, ttl=1, rdata=A(_ELSEWHERE)))
        return bytes(reply.pack())

    def _serve_datagrams(self) -> None:
        while True:
            try:
                query, sender = self._datagrams.recvfrom(4096)
            except OSError:
                return
            if not query:
                return
            self._datagrams.sendto(self._answer(query, "udp"), sender)

    def _serve_streams(self) -> None:
        while True:
            try:
                connection, _ = self._streams.accept()
            except OSError:
                return
            with connection:
                query = connection.recv(4096)[2:]
                reply = self._answer(query, "tcp")
                connection.sendall(len(reply).to_bytes(2, "big") + reply)


@pytest.fixture
def upstream(host: int) -> Iterator[Upstream]:
    del host
    made = Upstream("127.0.0.1")
    yield made
    made.close()


@pytest.fixture
def settings_with_dns(settings: NetworkSettings) -> NetworkSettings:
    return msgspec.structs.replace(settings, dns=("127.0.0.1",))


def sandbox(name: str, netns: int) -> Sandbox:
    return Sandbox(container_id=name.encode().hex().ljust(64, "0"), name=name, netns=netns)


def _ask(netns: int, name: str, kind: str) -> DNSRecord:
    with socket_in(netns, socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(6)
        client.sendto(bytes(DNSRecord.question(name, kind).pack()), _RESOLVER)
        return DNSRecord.parse(client.recv(4096))


def _ask_by_stream(netns: int, name: str) -> DNSRecord:
    with socket_in(netns, socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(6)
        client.connect(_RESOLVER)
        query = bytes(DNSRecord.question(name).pack())
        client.sendall(len(query).to_bytes(2, "big") + query)
        return DNSRecord.parse(client.recv(4096)[2:])


async def ask(netns: int, name: str, kind: str = "A") -> DNSRecord:
    return await asyncio.to_thread(_ask, netns, name, kind)


def addresses(record: DNSRecord) -> list[str]:
    return [str(each.rdata) for each in record.rr]


def scenario_on(
    database: Database,
    settings: NetworkSettings,
    body: Callable[[NetworkService], Awaitable[None]],
) -> None:
    async def run() -> None:
        service = NetworkService(database, settings)
        await service.start()
        try:
            await body(service)
        finally:
            await service.stop()

    asyncio.run(run())


def test_containers_find_each_other_by_name(
    upstream: Upstream,
    database: Database,
    settings_with_dns: NetworkSettings,
    new_netns: Callable[[], int],
) -> None:
    async def body(service: NetworkService) -> None:
        one, two = new_netns(), new_netns()
        await service.create(NetworkRequest("front"))
        first = await service.join(
            sandbox("one", one), "front", EndpointRequest(links=("two:store",))
        )
        second = await service.join(
            sandbox("two", two), "front", EndpointRequest(aliases=("db",)), ("extra",)
        )
        for name in ("two", "db", "extra", "DB.front", second.dns_names[3], "store"):
            assert addresses(await ask(one, name)) == [second.ipv4_address]
        assert addresses(await ask(two, "one")) == [first.ipv4_address]
        assert addresses(await asyncio.to_thread(_ask_by_stream, two, "one")) == [
            first.ipv4_address
        ]
        assert addresses(await ask(one, "two", "AAAA")) == []
        assert upstream.asked == []
        await service.leave(sandbox("two", two).container_id, second)
        assert addresses(await ask(one, "two")) == [_ELSEWHERE]

    scenario_on(database, settings_with_dns, body)


def test_other_names_are_asked_of_the_host(
    upstream: Upstream,
    database: Database,
    settings_with_dns: NetworkSettings,
    new_netns: Callable[[], int],
) -> None:
    async def body(service: NetworkService) -> None:
        one = new_netns()
        await service.create(NetworkRequest("front"))
        await service.join(sandbox("one", one), "front")
        assert addresses(await ask(one, "elsewhere.example")) == [_ELSEWHERE]
        reply = await asyncio.to_thread(_ask_by_stream, one, "elsewhere.example")
        assert addresses(reply) == [_ELSEWHERE]
        assert upstream.asked == ["udp", "tcp"]

    scenario_on(database, settings_with_dns, body)


def test_the_next_server_is_asked_when_one_fails(
    upstream: Upstream,
    database: Database,
    settings_with_dns: NetworkSettings,
    new_netns: Callable[[], int],
) -> None:
    broken = Upstream("127.0.0.2", RCODE.SERVFAIL)

    async def body(service: NetworkService) -> None:
        one = new_netns()
        await service.create(NetworkRequest("front"))
        endpoint = await service.join(sandbox("one", one), "front")
        # Nobody listens at the first, the second fails, the third knows.
        service.use_servers(
            sandbox("one", one).container_id, ("127.0.0.3", "127.0.0.2", "127.0.0.1")
        )
        assert addresses(await ask(one, "elsewhere.example")) == [_ELSEWHERE]
        service.use_servers(sandbox("one", one).container_id, ("127.0.0.2",))
        assert (await ask(one, "elsewhere.example")).header.rcode == RCODE.SERVFAIL
        await service.leave(sandbox("one", one).container_id, endpoint)

    try:
        scenario_on(database, settings_with_dns, body)
    finally:
        broken.close()


def test_an_internal_network_asks_nobody(
    upstream: Upstream,
    database: Database,
    settings_with_dns: NetworkSettings,
    new_netns: Callable[[], int],
) -> None:
    async def body(service: NetworkService) -> None:
        one = new_netns()
        await service.create(NetworkRequest("inside", internal=True))
        await service.join(sandbox("one", one), "inside")
        assert (await ask(one, "elsewhere.example")).header.rcode == RCODE.SERVFAIL
        assert upstream.asked == []

    scenario_on(database, settings_with_dns, body)


def test_a_container_can_run_a_name_server_of_its_own(
    upstream: Upstream,
    database: Database,
    settings_with_dns: NetworkSettings,
    new_netns: Callable[[], int],
) -> None:
    async def body(service: NetworkService) -> None:
        one = new_netns()
        await service.create(NetworkRequest("front"))
        await service.join(sandbox("one", one), "front")
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket_in(one, socket.AF_INET, kind) as server:
                server.bind(("", 53))
        assert addresses(await ask(one, "elsewhere.example")) == [_ELSEWHERE]

    scenario_on(database, settings_with_dns, body)


def test_names_come_back_with_a_new_daemon(
    upstream: Upstream,
    database: Database,
    settings_with_dns: NetworkSettings,
    new_netns: Callable[[], int],
) -> None:
    one, two = new_netns(), new_netns()
    endpoints = {}

    async def before(service: NetworkService) -> None:
        await service.create(NetworkRequest("front"))
        for name, netns in (("one", one), ("two", two)):
            endpoints[name] = await service.join(sandbox(name, netns), "front")

    async def after(service: NetworkService) -> None:
        for name, netns in (("one", one), ("two", two)):
            await service.adopt(sandbox(name, netns), [endpoints[name]])
        await service.reconcile()
        assert addresses(await ask(one, "two")) == [endpoints["two"].ipv4_address]
        assert addresses(await ask(one, "elsewhere.example")) == [_ELSEWHERE]

    scenario_on(database, settings_with_dns, before)
    scenario_on(database, settings_with_dns, after)
