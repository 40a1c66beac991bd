"""WebSocket (RFC 6455), the server's side, as far as attaching to a container needs it."""

import base64
import hashlib
import struct
from collections.abc import Iterator

from boxship.api.request import Duplex
from boxship.errors import InvalidArgumentError

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3
_LARGEST = 1 << 20
_PROTOCOL_ERROR, _TOO_BIG = 1002, 1009  # section 7.4.1


def accept_key(key: str) -> str:
    """`Sec-WebSocket-Accept` for a client's key (section 4.2.2)."""
    digest = hashlib.sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def encode(opcode: int, payload: bytes) -> bytes:
    """One whole frame, unmasked as a server's are (section 5.2)."""
    size = len(payload)
    if size < 126:
        head = struct.pack(">BB", 0x80 | opcode, size)
    elif size < 1 << 16:
        head = struct.pack(">BBH", 0x80 | opcode, 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | opcode, 127, size)
    return head + payload


class BrokenFrameError(InvalidArgumentError):
    """The client does not keep to the protocol; `code` is the status to close with."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Frames:
    """Takes a client's frames out of the bytes that arrive."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Opcode and payload of each frame that is whole now; messages are not put together.

        Raises:
            BrokenFrameError: a frame without mask, or a very large one.
        """
        self._rest += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> tuple[int, bytes] | None:
        rest = self._rest
        if len(rest) < 2:
            return None
        opcode, size, start = rest[0] & 0x0F, rest[1] & 0x7F, 2
        if not rest[1] & 0x80:
            raise BrokenFrameError("a client's frames must be masked", _PROTOCOL_ERROR)
        if size >= 126:
            start += 2 if size == 126 else 8
            if len(rest) < start:
                return None
            size = int.from_bytes(rest[2:start], "big")
        if size > _LARGEST:
            raise BrokenFrameError(f"a frame is over {_LARGEST} bytes", _TOO_BIG)
        end = start + 4 + size
        if len(rest) < end:
            return None
        self._rest = rest[end:]
        return opcode, _unmask(rest[start + 4 : end], rest[start : start + 4])


def _unmask(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return mixed.to_bytes(size, "big")


class WebSocket:
    """A duplex whose bytes travel in frames: binary ones out, text or binary ones in."""

    def __init__(self, raw: Duplex) -> None:
        self._raw = raw
        self._frames = Frames()
        self._closed = False

    async def read(self) -> bytes:
        """What the client sent; empty once it has closed."""
        while not self._closed:
            data = await self._raw.read()
            if not data:
                break
            try:
                payload = await self._payload(data)
            except BrokenFrameError as error:
                await self._say_goodbye(struct.pack(">H", error.code))
                break
            if payload:
                return payload
        return b""

    async def write(self, data: bytes) -> None:
        if not self._closed:
            await self._raw.write(encode(BINARY, data))

    async def finish(self) -> None:
        """Say goodbye, when there is nothing more to send."""
        await self._say_goodbye(struct.pack(">H", 1000))

    def close(self) -> None:
        self._raw.close()

    async def _payload(self, data: bytes) -> bytes:
        parts = []
        for opcode, payload in self._frames.feed(data):
            if opcode in (CONTINUATION, TEXT, BINARY):
                parts.append(payload)
            elif opcode == PING:
                await self._raw.write(encode(PONG, payload))
            elif opcode == CLOSE:
                await self._say_goodbye(payload[:2])
                break
        return b"".join(parts)

    async def _say_goodbye(self, payload: bytes) -> None:
        if not self._closed:
            self._closed = True
            await self._raw.write(encode(CLOSE, payload))
