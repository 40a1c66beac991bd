"""The name server that containers of user networks find at 127.0.0.11.

Its sockets live in the container's network namespace, on ports of the kernel's choice, and rules
there lead port 53 to them: a container can run a name server of its own on port 53 of every
address, as it can with Docker.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence

from boxship.kernel import netns
from boxship.kernel.nftables import Nftables
from boxship.log import create_task, debug
from boxship.network.answers import LocalAnswers, failure_reply
from boxship.network.dns import EMBEDDED
from boxship.network.forwarder import Forwarder

_LARGEST = 65535
_BURST = 32
# For one query over TCP and its answer: a container must not keep our descriptors.
_IDLE = 10.0
_MAX_STREAMS = 32
# Of the forwarder's 512: one container must not leave the others without names.
_MAX_ASKED = 64
_RULES = """
add table ip boxship_dns
add chain ip boxship_dns output {{ type nat hook output priority -100; policy accept; }}
flush table ip boxship_dns
add rule ip boxship_dns output ip daddr {address} udp dport 53 dnat to {address}:{udp}
add rule ip boxship_dns output ip daddr {address} tcp dport 53 dnat to {address}:{tcp}
"""


class Resolver:
    """Serves one network namespace.

    Args:
        answers: what the engine itself knows.
        forwarder: asks others.
        servers: whom to ask; nobody, when the container may not reach the outside.
    """

    def __init__(
        self,
        answers: LocalAnswers,
        forwarder: Forwarder,
        servers: Callable[[], Sequence[str]],
    ) -> None:
        self._answers = answers
        self._forwarder = forwarder
        self._servers = servers
        self._datagrams: socket.socket | None = None
        self._streams: asyncio.Server | None = None
        self._open = 0
        self._asked = 0

    async def start(self, namespace: int) -> None:
        """Open the sockets in the namespace and lead port 53 to them.

        Raises:
            KernelError: the namespace or its rules cannot be changed.
            OSError: a socket cannot be opened.
        """
        datagrams = netns.socket_in(namespace, socket.AF_INET, socket.SOCK_DGRAM)
        streams = netns.socket_in(namespace, socket.AF_INET, socket.SOCK_STREAM)
        try:
            for each in (datagrams, streams):
                each.setblocking(False)
                each.bind((EMBEDDED, 0))
            udp, tcp = datagrams.getsockname()[1], streams.getsockname()[1]
            with netns.entered(namespace), Nftables() as nft:
                nft.run(_RULES.format(address=EMBEDDED, udp=udp, tcp=tcp))
            self._streams = await asyncio.start_server(self._serve_stream, sock=streams)
        except BaseException:
            datagrams.close()
            streams.close()
            raise
        self._datagrams = datagrams
        asyncio.get_running_loop().add_reader(datagrams, self._readable)

    def close(self) -> None:
        """Close the sockets, which keep the namespace alive as long as they are open."""
        if self._datagrams is not None:
            asyncio.get_running_loop().remove_reader(self._datagrams)
            self._datagrams.close()
            self._datagrams = None
        if self._streams is not None:
            self._streams.close()
            self._streams = None

    def _readable(self) -> None:
        for _ in range(_BURST):
            if self._datagrams is None:
                return
            try:
                query, sender = self._datagrams.recvfrom(_LARGEST)
            except OSError:
                return
            try:
                reply = self._answers.answer(query)
            except ValueError as failure:
                debug(f"resolver: {failure}")
                continue
            if reply is not None:
                self._send(reply, sender)
            else:
                create_task(self._forward(query, sender), "name query")

    async def _forward(self, query: bytes, sender: tuple[str, int]) -> None:
        self._send(await self._ask(query, stream=False), sender)

    async def _ask(self, query: bytes, *, stream: bool) -> bytes:
        if self._asked >= _MAX_ASKED:
            return failure_reply(query)
        self._asked += 1
        try:
            response = await self._forwarder.ask(query, self._servers(), stream=stream)
        finally:
            self._asked -= 1
        return response if response is not None else failure_reply(query)

    def _send(self, reply: bytes, sender: tuple[str, int]) -> None:
        if self._datagrams is None or not reply:
            return
        try:
            self._datagrams.sendto(reply, sender)
        except OSError as failure:
            debug(f"resolver: cannot answer {sender}: {failure}")

    async def _serve_stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._open += 1
        try:
            while self._open <= _MAX_STREAMS:
                async with asyncio.timeout(_IDLE):
                    await self._serve_query(reader, writer)
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError) as failure:
            debug(f"resolver: stream ends: {failure!r}")
        finally:
            self._open -= 1
            if writer.transport.get_write_buffer_size():
                # What a client does not read would be waited for.
                writer.transport.abort()
            writer.close()

    async def _serve_query(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        query = await reader.readexactly(size)
        reply = self._answers.answer(query)
        if reply is None:
            reply = await self._ask(query, stream=True)
        writer.write(len(reply).to_bytes(2, "big") + reply)
        await writer.drain()
