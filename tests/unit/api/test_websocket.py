"""WebSocket frames, and a duplex made of them."""

import asyncio

import pytest

from boxship.api.streams import UnframedSession, frame
from boxship.api.websocket import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    BrokenFrameError,
    Frames,
    WebSocket,
    accept_key,
    encode,
)

MASK = b"\x01\x02\x03\x04"


def masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame."""
    plain = encode(opcode, payload)
    head = len(plain) - len(payload)
    mixed = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
    return plain[:1] + bytes([plain[1] | 0x80]) + plain[2:head] + MASK + mixed


def test_the_rfc_s_example_of_a_handshake() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_the_rfc_s_examples_of_frames() -> None:
    hello = bytes.fromhex("818537fa213d7f9f4d5158")
    assert list(Frames().feed(hello)) == [(TEXT, b"Hello")]
    assert encode(TEXT, b"Hello") == bytes.fromhex("810548656c6c6f")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 200_000])
def test_frames_of_all_lengths_in_pieces(size: int) -> None:
    data = masked(BINARY, b"x" * size) + masked(TEXT, b"next")
    frames = Frames()
    found = [one for i in range(0, len(data), 999) for one in frames.feed(data[i : i + 999])]
    assert found == [(BINARY, b"x" * size), (TEXT, b"next")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encode(TEXT, b"plain"), "must be masked"),
        (b"\x82\xff" + (1 << 30).to_bytes(8, "big"), "is over"),
    ],
)
def test_what_breaks_the_protocol_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(BrokenFrameError, match=message):
        list(Frames().feed(data))


class Raw:
    def __init__(self, *pieces: bytes) -> None:
        self._pieces = [*pieces, b""]
        self.sent = b""

    async def read(self) -> bytes:
        return self._pieces.pop(0)

    async def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self._pieces = [b""]


async def test_a_conversation() -> None:
    raw = Raw(masked(TEXT, b"a") + masked(PING, b"p"), masked(BINARY, b"b") + masked(CLOSE, b""))
    socket = WebSocket(raw)
    assert await socket.read() == b"a"
    await socket.write(b"out")
    assert await socket.read() == b"b"
    assert await socket.read() == b""
    await socket.write(b"too late")
    assert raw.sent == encode(PONG, b"p") + encode(BINARY, b"out") + encode(CLOSE, b"")


async def test_a_client_that_breaks_the_protocol_is_told_and_left() -> None:
    raw = Raw(encode(TEXT, b"plain"))
    assert await WebSocket(raw).read() == b""
    assert raw.sent == encode(CLOSE, b"\x03\xea")


async def test_the_end_of_output_is_said() -> None:
    raw = Raw()
    await WebSocket(raw).finish()
    assert raw.sent == encode(CLOSE, b"\x03\xe8")


class Output:
    tty = False

    def __init__(self, data: bytes, piece: int) -> None:
        self._pieces = [data[i : i + piece] for i in range(0, len(data), piece)]

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        return self._pieces.pop(0) if self._pieces else b""

    async def write(self, data: bytes) -> None:
        raise AssertionError(data)

    async def close_input(self) -> None:
        raise AssertionError

    def close(self) -> None:
        self._pieces.clear()


@pytest.mark.parametrize("piece", [1, 3, 8, 9, 100])
async def test_frames_of_output_are_taken_off_however_they_arrive(piece: int) -> None:
    framed = frame(1, b"out") + frame(2, b"") + frame(2, b"error" * 5)
    session = UnframedSession(Output(framed, piece))
    whole = b""
    while data := await session.read():
        whole += data
    assert whole == b"out" + b"error" * 5
