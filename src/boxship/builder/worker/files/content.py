"""What is in a regular file of a tree that is read, wherever the tree is kept."""

import os
from contextlib import suppress
from typing import BinaryIO, Protocol

from boxship.builder.worker.files.xattrs import list_xattrs

_SMALL = 128 << 10
_CHUNK = 1 << 20
_COPY = 1 << 30


class Hash(Protocol):
    """A running digest."""

    def update(self, data: bytes | memoryview, /) -> None: ...


class Content(Protocol):
    """An open file; `close` it."""

    def head(self, size: int) -> bytes:
        """The first bytes, fewer when there are not that many."""
        ...

    def digest(self, into: Hash) -> None:
        """Count all of it."""
        ...

    def copy(self, target: int) -> None:
        """Write it to a file that is open and empty."""
        ...

    def stream(self) -> BinaryIO:
        """It once more, to be read from the beginning and closed by the caller."""
        ...

    def xattrs(self) -> list[tuple[str, bytes]]: ...

    def close(self) -> None: ...


class FileContent:
    """Content of a file system's file.

    Args:
        descriptor: the open file, which this takes over.
        size: bytes it had when it was listed; what came later does not count.
    """

    __slots__ = ("_descriptor", "_size")

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size

    def head(self, size: int) -> bytes:
        return os.pread(self._descriptor, size, 0)

    def digest(self, into: Hash) -> None:
        left = self._size
        while left > 0:
            data = os.read(self._descriptor, min(left, _CHUNK))
            if not data:
                break
            into.update(data)
            left -= len(data)

    def copy(self, target: int) -> None:
        if self._size <= _SMALL:
            # A read that comes up short of what was asked has met the end.
            data = os.read(self._descriptor, _SMALL + 1)
            if len(data) <= _SMALL:
                write_all(target, memoryview(data))
                return
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        _copy_range(self._descriptor, target)

    def stream(self) -> BinaryIO:
        stream = os.fdopen(os.dup(self._descriptor), "rb")
        stream.seek(0)
        return stream

    def xattrs(self) -> list[tuple[str, bytes]]:
        return list_xattrs(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def write_all(target: int, data: memoryview) -> None:
    while data:
        data = data[os.write(target, data) :]


def _copy_range(source: int, target: int) -> None:
    """Copy by the kernel: shared blocks where the file system can, no trip through memory."""
    with suppress(OSError):
        while os.copy_file_range(source, target, _COPY):
            pass
        return
    # Between file systems (EXDEV) the offsets have not moved further than what was copied.
    while os.sendfile(target, source, None, _COPY):
        pass
