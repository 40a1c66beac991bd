"""Tar archives read from a descriptor, one entry at a time, in one pass.

Written for speed: an image has tens of thousands of entries, and this and the extractor are all
the Python that runs for each of them.
"""

import os

from boxship.storage.diff.headers import (
    BLOCK,
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    GNU_SPARSE,
    LONG_LINK,
    LONG_NAME,
    PAX,
    PAX_GLOBAL,
    REGULAR,
    WITHOUT_DATA,
    Entry,
    RefusedError,
    check_sum,
    decimal,
    extents_of,
    full_name,
    nanoseconds,
    number,
    pax_records,
    text,
)

_CHUNK = 1 << 20
# Names end at 4096 bytes and extended attributes at 64 KiB each: real headers are far below.
_MAX_EXTENDED = 1 << 20
_MAX_EXTENTS = 1 << 20
_XATTR = b"SCHILY.xattr."
_REGULAR_KINDS = frozenset({b"0", b"\0", b"7", GNU_SPARSE})
_EXTENDED_KINDS = frozenset({PAX, PAX_GLOBAL, LONG_NAME, LONG_LINK})
_ZERO_BLOCK = bytes(BLOCK)


class TarReader:
    """Entries of the archive that a descriptor delivers; it may be a pipe.

    Use `next`, then `copy_data` for the entry's data if it is wanted.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = b""
        self._position = 0
        self._left = 0
        self._padding = 0
        self._global: dict[bytes, bytes] = {}
        self._owners: dict[bytes, tuple[int, int, int]] = {}

    def next(self) -> Entry | None:
        """The next entry; None at the end of the archive.

        Raises:
            RefusedError: the archive is damaged or truncated.
        """
        extended: dict[bytes, bytes] = {}
        while True:
            if self._left or self._padding:
                self._skip()
            block = self._header()
            if block is None:
                return None
            check_sum(block)
            kind = block[156:157]
            if kind not in _EXTENDED_KINDS:
                return self._entry(block, kind, extended)
            self._read_extended(block, kind, extended)

    def copy_data(self, fd: int, entry: Entry) -> None:
        """Write the entry's data to a file that is open at its start and empty.

        Raises:
            RefusedError: the archive ends too early.
        """
        if entry.sparse is None:
            self._copy(fd, entry.size)
            return
        os.ftruncate(fd, entry.real_size)
        for offset, length in entry.sparse:
            os.lseek(fd, offset, os.SEEK_SET)
            self._copy(fd, length)

    def drain(self) -> None:
        """Read what follows the archive, so that the writer of a pipe can finish."""
        while os.read(self._fd, _CHUNK):
            pass

    def _header(self) -> bytes | None:
        end = self._position + BLOCK
        block = self._buffer[self._position : end]
        self._position = end
        if len(block) != BLOCK:
            self._position = end - BLOCK
            block = self._take(BLOCK, may_end=True)
        # An archive ends with two zero blocks; some writers leave out one or both.
        return None if block in (b"", _ZERO_BLOCK) else block

    def _take(self, size: int, *, may_end: bool = False) -> bytes:
        """The next `size` bytes; fewer never, none only at an end that is allowed."""
        end = self._position + size
        if end <= len(self._buffer):
            taken = self._buffer[self._position : end]
            self._position = end
            return taken
        parts = [self._buffer[self._position :]]
        have = len(parts[0])
        while have < size:
            chunk = os.read(self._fd, _CHUNK)
            if not chunk:
                if may_end and not have:
                    break
                raise RefusedError("it is truncated")
            parts.append(chunk)
            have += len(chunk)
        self._buffer = b"".join(parts)
        self._position = min(size, have)
        return self._buffer[: self._position]

    def _skip(self) -> None:
        left = self._left + self._padding
        self._left = self._padding = 0
        buffered = min(left, len(self._buffer) - self._position)
        self._position += buffered
        left -= buffered
        while left:
            left -= len(self._take(min(left, _CHUNK)))

    def _data(self, size: int) -> bytes:
        """The data of a small entry, and past its padding."""
        data = self._take(size)
        self._left, self._padding = 0, -size % BLOCK
        self._skip()
        return data

    def _copy(self, fd: int, size: int) -> None:
        if size > self._left:
            raise RefusedError("it is damaged: a sparse file is larger than its data")
        self._left -= size
        start = self._position
        buffered = min(size, len(self._buffer) - start)
        if buffered:
            write_all(fd, memoryview(self._buffer)[start : start + buffered])
            self._position = start + buffered
            size -= buffered
        while size:
            chunk = os.read(self._fd, min(size, _CHUNK))
            if not chunk:
                raise RefusedError("it is truncated")
            write_all(fd, memoryview(chunk))
            size -= len(chunk)

    def _read_extended(self, block: bytes, kind: bytes, extended: dict[bytes, bytes]) -> None:
        size = number(block[124:136])
        if not 0 <= size <= _MAX_EXTENDED:
            raise RefusedError(f"it has an extended header of {size} bytes")
        data = self._data(size)
        if kind == PAX:
            extended.update(pax_records(data))
        elif kind == PAX_GLOBAL:
            self._global.update(pax_records(data))
        else:
            extended[b"path" if kind == LONG_NAME else b"linkpath"] = text(data)

    def _entry(self, block: bytes, kind: bytes, extended: dict[bytes, bytes]) -> Entry:
        size = 0 if kind in WITHOUT_DATA else number(block[124:136])
        entry = Entry(full_name(block), REGULAR if kind in _REGULAR_KINDS else kind, size)
        owner = block[100:124]
        try:
            entry.mode, entry.uid, entry.gid = self._owners[owner]
        except KeyError:
            self._owners[owner] = entry.mode, entry.uid, entry.gid = (
                number(owner[:8]) & 0o7777,
                number(owner[8:16]),
                number(owner[16:]),
            )
        entry.mtime = number(block[136:148]) * 1_000_000_000
        if kind != b"0":
            entry.link = text(block[157:257])
            if kind in (CHARACTER, BLOCK_DEVICE):
                entry.device = number(block[329:337]), number(block[337:345])
        if self._global:
            extended = self._global | extended
        if extended:
            _apply_extended(entry, extended)
        self._begin_data(entry, block, kind, extended)
        return entry

    def _begin_data(
        self, entry: Entry, block: bytes, kind: bytes, extended: dict[bytes, bytes]
    ) -> None:
        if entry.size < 0:
            raise RefusedError(f"it is damaged: {entry.name!r} has a negative size")
        self._left, self._padding = entry.size, -entry.size % BLOCK
        if kind == GNU_SPARSE:
            self._read_gnu_sparse(entry, block)
        elif b"GNU.sparse.map" in extended:
            numbers = extended[b"GNU.sparse.map"].split(b",")
            entry.sparse = extents_of([decimal(digits) for digits in numbers])
        elif extended.get(b"GNU.sparse.major") == b"1":
            self._read_pax_sparse(entry)
        elif entry.kind == REGULAR and entry.name.endswith(b"/"):
            # The oldest archives have no directories but by this.
            entry.kind = DIRECTORY

    def _read_gnu_sparse(self, entry: Entry, block: bytes) -> None:
        """GNU's own format: four extents in the header, 21 in each block that follows it."""
        entry.real_size = number(block[483:495])
        numbers: list[int] = []
        fields, more = block[386:482], block[482]
        while True:
            for start in range(0, len(fields), 24):
                if fields[start]:
                    numbers.append(number(fields[start : start + 12]))
                    numbers.append(number(fields[start + 12 : start + 24]))
            if not more:
                break
            if len(numbers) > _MAX_EXTENTS:
                raise RefusedError(f"it is damaged: {entry.name!r} has too many extents")
            following = self._take(BLOCK)
            fields, more = following[:504], following[504]
        entry.sparse = extents_of(numbers)

    def _read_pax_sparse(self, entry: Entry) -> None:
        """Sparse format 1.0: the map is text at the start of the data, padded to a block."""
        block, consumed = self._sparse_line_block(entry, 0)
        count = decimal(block.partition(b"\n")[0])
        if count > _MAX_EXTENTS:
            raise RefusedError(f"it is damaged: {entry.name!r} has too many extents")
        blocks, ends = [block], block.count(b"\n")
        while ends < 2 * count + 1:
            block, consumed = self._sparse_line_block(entry, consumed)
            blocks.append(block)
            ends += block.count(b"\n")
        lines = b"".join(blocks).split(b"\n")
        entry.sparse = extents_of([decimal(line) for line in lines[1 : 2 * count + 1]])
        self._left -= consumed

    def _sparse_line_block(self, entry: Entry, consumed: int) -> tuple[bytes, int]:
        if consumed + BLOCK > entry.size + self._padding:
            raise RefusedError(f"it is damaged: the sparse map of {entry.name!r} is cut off")
        return self._take(BLOCK), consumed + BLOCK


def _apply_extended(entry: Entry, extended: dict[bytes, bytes]) -> None:
    for key, value in extended.items():
        if key.startswith(_XATTR):
            entry.xattrs.append((key[len(_XATTR) :], value))
        elif key in _SETTERS:
            _SETTERS[key](entry, value)
    # The sparse formats put a made-up name where readers that do not know them look.
    entry.name = extended.get(b"GNU.sparse.name", entry.name)
    for key in _REAL_SIZES:
        if key in extended:
            entry.real_size = decimal(extended[key])


def _set_name(entry: Entry, value: bytes) -> None:
    entry.name = value


def _set_link(entry: Entry, value: bytes) -> None:
    entry.link = value


def _set_size(entry: Entry, value: bytes) -> None:
    if entry.kind not in WITHOUT_DATA:
        entry.size = entry.real_size = decimal(value)


def _set_mtime(entry: Entry, value: bytes) -> None:
    entry.mtime = nanoseconds(value)


def _set_uid(entry: Entry, value: bytes) -> None:
    entry.uid = decimal(value)


def _set_gid(entry: Entry, value: bytes) -> None:
    entry.gid = decimal(value)


_SETTERS = {
    b"path": _set_name,
    b"linkpath": _set_link,
    b"size": _set_size,
    b"mtime": _set_mtime,
    b"uid": _set_uid,
    b"gid": _set_gid,
}
_REAL_SIZES = (b"GNU.sparse.size", b"GNU.sparse.realsize")


def write_all(fd: int, data: memoryview) -> None:
    """Write all of it, however often write(2) stops short."""
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, data[written:])
