"""Asking the host's name servers on behalf of containers."""

import asyncio
import os
from collections.abc import Sequence

from boxship.log import debug
from boxship.network.answers import same_question

_PORT = 53
_TIMEOUT = 2.5
_MAX_SERVERS = 3
_MAX_WAITING = 512
_RCODE = 3  # offset of the byte whose low half is the response code
_RETRY_CODES = (2, 5)  # SERVFAIL and REFUSED: another server may know


class Forwarder:
    """Sends queries on from the host's network namespace, to one server after the other."""

    def __init__(self, port: int = _PORT) -> None:
        self._port = port
        self._waiting = 0

    async def ask(self, query: bytes, servers: Sequence[str], *, stream: bool) -> bytes | None:
        """The first useful response, or None when no server gives one.

        Args:
            query: the message as the container sent it.
            servers: addresses, in the order to try.
            stream: over TCP, as the container asked.
        """
        if self._waiting >= _MAX_WAITING:
            return None
        self._waiting += 1
        try:
            return await self._ask_each(query, servers[:_MAX_SERVERS], stream=stream)
        finally:
            self._waiting -= 1

    async def _ask_each(
        self, query: bytes, servers: Sequence[str], *, stream: bool
    ) -> bytes | None:
        last: bytes | None = None
        # A fresh id: the container's choice must not make answers easy to forge.
        outgoing = os.urandom(2) + query[2:]
        ask = self._by_stream if stream else self._by_datagram
        for server in servers:
            try:
                async with asyncio.timeout(_TIMEOUT):
                    response = await ask(outgoing, server)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as failure:
                debug(f"name server {server} does not answer: {failure!r}")
                continue
            last = query[:2] + response[2:]
            if response[_RCODE] & 0x0F not in _RETRY_CODES:
                break
        return last

    async def _by_datagram(self, query: bytes, server: str) -> bytes:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(
            lambda: _Exchange(query), remote_addr=(server, self._port)
        )
        try:
            transport.sendto(query)
            return await protocol.response
        finally:
            transport.close()

    async def _by_stream(self, query: bytes, server: str) -> bytes:
        reader, writer = await asyncio.open_connection(server, self._port)
        try:
            writer.write(len(query).to_bytes(2, "big") + query)
            size = int.from_bytes(await reader.readexactly(2), "big")
            response = await reader.readexactly(size)
        finally:
            writer.close()
        if not _belongs(query, response):
            raise OSError("the response answers another question")
        return response


class _Exchange(asyncio.DatagramProtocol):
    """One query and the response to it; the kernel passes on only what the server sends."""

    def __init__(self, query: bytes) -> None:
        self._query = query
        self.response: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.response.done() and _belongs(self._query, data):
            self.response.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.response.done():
            self.response.set_exception(exc)


def _belongs(query: bytes, response: bytes) -> bool:
    return query[:2] == response[:2] and same_question(query, response)
