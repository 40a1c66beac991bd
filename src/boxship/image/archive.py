"""Archives as streams: outer compression, and tar members one after another."""

import bz2
import io
import lzma
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import zstandard
from isal import igzip

from boxship.errors import InvalidArgumentError

BLOCK = 1 << 20
_GZIP, _ZSTD, _XZ, _BZIP2 = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"BZh"
_BROKEN = (OSError, EOFError, lzma.LZMAError, zstandard.ZstdError, tarfile.TarError)


class Opened:
    """A stream that can be peeked at, though it may be a pipe."""

    def __init__(self, stream: BinaryIO) -> None:
        self._buffered = io.BufferedReader(cast("io.RawIOBase", _Raw(stream)), BLOCK)
        self.magic = bytes(self._buffered.peek(6)[:6])

    @property
    def compression(self) -> str:
        """`gzip`, `zstd`, `xz`, `bzip2`, or `none`."""
        kinds = {"gzip": _GZIP, "zstd": _ZSTD, "xz": _XZ, "bzip2": _BZIP2}
        return next((name for name, mark in kinds.items() if self.magic.startswith(mark)), "none")

    def raw(self) -> BinaryIO:
        """The bytes as they are."""
        return self._buffered

    def plain(self) -> BinaryIO:
        """The bytes without their compression."""
        kind = self.compression
        if kind == "gzip":
            return cast("BinaryIO", igzip.IGzipFile(fileobj=self._buffered, mode="rb"))  # type: ignore[no-untyped-call]
        if kind == "zstd":
            reader = zstandard.ZstdDecompressor().stream_reader(
                self._buffered, read_across_frames=True
            )
            return cast("BinaryIO", reader)
        if kind == "xz":
            return cast("BinaryIO", lzma.LZMAFile(self._buffered))
        if kind == "bzip2":
            return cast("BinaryIO", bz2.BZ2File(self._buffered))
        return self._buffered


class _Raw(io.RawIOBase):
    """A file of any sort as a raw one, without closing it when the buffer goes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def broken_archive(what: str) -> Iterator[None]:
    """Tell of a damaged archive in one line, whatever library found out."""
    try:
        yield
    except _BROKEN as error:
        # Errors of the disk are not the archive's.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InvalidArgumentError(
            f"{what} is truncated or damaged: {error}", hint="is it a tar archive?"
        ) from error


def blocks(stream: BinaryIO, size: int | None = None) -> Iterator[bytes]:
    """A stream in large pieces; with `size`, exactly so many bytes.

    Raises:
        EOFError: it ends before.
    """
    left = size
    while left is None or left > 0:
        data = stream.read(BLOCK if left is None else min(left, BLOCK))
        if not data:
            if left is None:
                return
            raise EOFError(f"{left} bytes are missing")
        if left is not None:
            left -= len(data)
        yield data
