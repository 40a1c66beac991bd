"""A transport that remembers what a protocol did to it."""

import asyncio
from typing import Any


class FakeTransport(asyncio.Transport):
    """Carries a protocol without a socket; `written` is what reached the other side."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self._closing = False
        self.written = bytearray()
        self.reading = True
        self.changed = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self._closing
        self.written += data
        self.changed.set()

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.changed.set()
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True
        self.changed.set()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"socket": None}.get(name, default)

    async def until(self, text: bytes) -> bytes:
        """Everything written, once `text` is in it."""
        async with asyncio.timeout(5):
            while text not in self.written:
                assert not self._closing, bytes(self.written)
                self.changed.clear()
                await self.changed.wait()
        return bytes(self.written)

    async def until_reading(self) -> None:
        """Returns once the protocol wants more input."""
        async with asyncio.timeout(5):
            while not self.reading:
                self.changed.clear()
                await self.changed.wait()

    async def until_closed(self) -> bytes:
        """Everything written before the protocol closed the connection."""
        async with asyncio.timeout(5):
            while not self._closing:
                self.changed.clear()
                await self.changed.wait()
        return bytes(self.written)
