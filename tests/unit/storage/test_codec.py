"""Decompression: every format, in any pieces, whole or refused."""

import bz2
import gzip
import hashlib
import lzma

import pytest
import zstandard

from boxship.errors import InvalidArgumentError
from boxship.storage.diff.codec import Decoder, encoder

PLAIN = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(6000)) + b"text " * 100_000
PACKED = {
    "plain": PLAIN,
    "gzip": gzip.compress(PLAIN),
    "gzip members": gzip.compress(PLAIN[:1000]) + gzip.compress(PLAIN[1000:]),
    "gzip padded": gzip.compress(PLAIN) + bytes(1000),
    "bzip2": bz2.compress(PLAIN),
    "xz": lzma.compress(PLAIN),
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress(PLAIN),
    "zstd frames": zstandard.ZstdCompressor().compress(PLAIN[:1000])
    + zstandard.ZstdCompressor().compress(PLAIN[1000:]),
    "zstd skippable": b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstandard.compress(PLAIN),
}


def decode(data: bytes, piece: int) -> bytes:
    plain: list[bytes] = []
    decoder = Decoder(plain.append)
    for start in range(0, len(data), piece):
        decoder.write(data[start : start + piece])
    decoder.finish()
    assert max(map(len, plain), default=0) <= max(piece + 6, 256 << 10)
    return b"".join(plain)


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("piece", [1000, 65_536, 10_000_000])
def test_round_trip(name: str, piece: int) -> None:
    assert decode(PACKED[name], piece) == PLAIN


def test_one_byte_at_a_time() -> None:
    assert decode(gzip.compress(b"hello"), 1) == b"hello"
    assert decode(b"hi", 1) == b"hi"
    assert decode(b"", 1) == b""


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
def test_truncated(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"truncated {name} data"):
        decode(PACKED[name][:-10], 65_536)


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz", "zstd"])
def test_damaged(name: str) -> None:
    damaged = bytearray(PACKED[name])
    damaged[20:120] = bytes(100)
    with pytest.raises(InvalidArgumentError, match=name):
        decode(bytes(damaged), 65_536)


def test_a_bomb_comes_in_small_pieces() -> None:
    bomb = gzip.compress(bytes(100_000_000))
    largest = 0

    def consume(data: bytes) -> None:
        nonlocal largest
        largest = max(largest, len(data))

    decoder = Decoder(consume)
    decoder.write(bomb)
    decoder.finish()
    assert largest <= 256 << 10


@pytest.mark.parametrize(("name", "decompress"), [("gzip", gzip.decompress), ("zstd", None)])
def test_encoders_are_deterministic(name: str, decompress: object) -> None:
    def encode() -> bytes:
        made = encoder(name)  # type: ignore[arg-type]
        return made.compress(PLAIN[:100]) + made.compress(PLAIN[100:]) + made.flush()

    assert encode() == encode()
    assert decode(encode(), 65_536) == PLAIN
