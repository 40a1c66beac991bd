"""Compressions of archives, told by their first bytes.

isal and zstandard do gzip and zstd two to four times faster than zlib
(docs/decisions/layer-streams.md).
"""

from collections.abc import Callable
from typing import IO, Literal, Protocol, cast

from boxship.errors import InvalidArgumentError

Compression = Literal["none", "gzip", "zstd"]

_OUTPUT = 256 << 10
_LONGEST_MAGIC = 6
# Windows up to 128 MiB, as `zstd --long` and other engines take; more is an attack on memory.
_ZSTD_WINDOW = 1 << 27
_ZSTD_LEVEL = 3
# The fastest level that looks for matches across blocks; 0 gives up a tenth of the ratio.
_ISAL_LEVEL = 1

Consumer = Callable[[bytes], object]


class _Blockwise(Protocol):
    """The interface that bz2, lzma and isal share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Decoder:
    """Takes compressed bytes as they come and hands on plain ones, in pieces of bounded size."""

    def __init__(self, consume: Consumer) -> None:
        self._consume = consume
        self._head = b""
        self._stage: _Stage | None = None

    def write(self, data: bytes) -> None:
        """Decode more.

        Raises:
            InvalidArgumentError: the data is damaged.
        """
        if self._stage is None:
            self._head += data
            if len(self._head) < _LONGEST_MAGIC:
                return
            data, self._head = self._head, b""
            self._stage = _stage_for(data, self._consume)
        self._stage.write(data)

    def finish(self) -> None:
        """Say that no more comes.

        Raises:
            InvalidArgumentError: the data stops in the middle.
        """
        if self._stage is None:
            self._stage = _stage_for(self._head, self._consume)
            self._stage.write(self._head)
        self._stage.finish()


class _Stage(Protocol):
    def write(self, data: bytes) -> None: ...
    def finish(self) -> None: ...


class _Plain:
    def __init__(self, consume: Consumer) -> None:
        self._consume = consume

    def write(self, data: bytes) -> None:
        if data:
            self._consume(data)

    def finish(self) -> None:
        return


class _Members:
    """gzip, bzip2 and xz: any number of members one after another (parallel compressors do so)."""

    def __init__(
        self,
        name: str,
        make: Callable[[], _Blockwise],
        consume: Consumer,
        error: type[Exception] = OSError,
    ) -> None:
        self._name = name
        self._make = make
        self._consume = consume
        self._errors = (error, EOFError)
        self._member = make()
        self._fresh = True

    def write(self, data: bytes) -> None:
        try:
            self._decode(data)
        except self._errors as failure:
            raise InvalidArgumentError(f"damaged {self._name} data: {failure}") from failure

    def _decode(self, data: bytes) -> None:
        while True:
            if self._fresh:
                # Padding between and behind members, as tape and block tools leave it.
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._fresh = False
            plain = self._member.decompress(data, _OUTPUT)
            if plain:
                self._consume(plain)
            data = b""
            if self._member.eof:
                data = self._member.unused_data
                self._member, self._fresh = self._make(), True
            elif self._member.needs_input:
                return

    def finish(self) -> None:
        if not self._fresh:
            raise InvalidArgumentError(f"truncated {self._name} data")


class _Zstd:
    def __init__(self, consume: Consumer) -> None:
        import zstandard  # noqa: PLC0415 - most layers are gzip

        self._error = zstandard.ZstdError
        decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._writer = decompressor.stream_writer(
            # write() is all it calls.
            cast("IO[bytes]", _Writable(consume)),
            write_size=_OUTPUT,
        )

    def write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
        except self._error as failure:
            raise InvalidArgumentError(f"damaged zstd data: {failure}") from failure

    def finish(self) -> None:
        return


class _Writable:
    def __init__(self, consume: Consumer) -> None:
        self._consume = consume

    def write(self, data: bytes) -> int:
        self._consume(data)
        return len(data)


def _stage_for(head: bytes, consume: Consumer) -> _Stage:
    # Each library is loaded when its format is met: the daemon seldom sees more than one.
    if head.startswith(b"\x1f\x8b"):
        from isal import igzip_lib  # noqa: PLC0415

        def gzip() -> _Blockwise:
            return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)

        return _Members("gzip", gzip, consume, cast("type[Exception]", igzip_lib.IsalError))
    if head.startswith(b"\x28\xb5\x2f\xfd") or _is_skippable(head):
        return _Zstd(consume)
    if head.startswith(b"BZh"):
        import bz2  # noqa: PLC0415

        return _Members("bzip2", bz2.BZ2Decompressor, consume)
    if head.startswith(b"\xfd7zXZ\0"):
        import lzma  # noqa: PLC0415

        return _Members("xz", lzma.LZMADecompressor, consume, lzma.LZMAError)
    return _Plain(consume)


def _is_skippable(head: bytes) -> bool:
    """A zstd skippable frame: zstd:chunked layers may begin with one (RFC 8878, 3.1.2)."""
    return head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F


class Encoder(Protocol):
    """A compressor in one pass."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def encoder(compression: Compression) -> Encoder:
    """A compressor whose output depends on its input alone."""
    if compression == "gzip":
        from isal import isal_zlib  # noqa: PLC0415

        return isal_zlib.compressobj(_ISAL_LEVEL, wbits=31)
    if compression == "zstd":
        import zstandard  # noqa: PLC0415

        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
    return _NoEncoder()


class _NoEncoder:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""
