"""Tar headers as bytes: the fields of POSIX ustar and pax, and of GNU tar.

Sources: POSIX.1-2017 pax "ustar Interchange Format"; the GNU tar manual, "Basic Tar Format" and
"Storing Sparse Files". The extractor imports this in a bare interpreter, so it imports next to
nothing.
"""

from zlib import adler32

BLOCK = 512
REGULAR, HARD_LINK, SYMLINK = b"0", b"1", b"2"
CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"3", b"4", b"5", b"6"
PAX, PAX_GLOBAL, LONG_NAME, LONG_LINK, GNU_SPARSE = b"x", b"g", b"L", b"K", b"S"
# Kinds whose size field says nothing about data that follows, whatever it holds.
WITHOUT_DATA = frozenset({HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO})

_ADLER_MODULUS = 65521
_SPACES = 8 * 32
_NO_HEADER = "it is not a tar archive, or damaged: a header has a wrong checksum"

Extent = tuple[int, int]


class RefusedError(Exception):
    """The archive is damaged or asks for something it may not."""


class Entry:
    """One member of an archive, with what extended headers said already applied.

    Attributes:
        name: as in the archive, not cleaned.
        kind: one of the constants above; regular files of every flavour are `REGULAR`.
        size: bytes of data in the archive.
        mtime: nanoseconds since 1970.
        link: target of a hard or symbolic link.
        sparse: (offset, length) of the data in the file; None when the file has no holes.
        real_size: bytes of the file, holes included.
    """

    __slots__ = (
        "device",
        "gid",
        "kind",
        "link",
        "mode",
        "mtime",
        "name",
        "real_size",
        "size",
        "sparse",
        "uid",
        "xattrs",
    )

    def __init__(self, name: bytes, kind: bytes, size: int) -> None:
        self.name = name
        self.kind = kind
        self.size = size
        self.mode = 0
        self.uid = 0
        self.gid = 0
        self.mtime = 0
        self.link = b""
        self.device = (0, 0)
        self.xattrs: list[tuple[bytes, bytes]] = []
        self.sparse: list[Extent] | None = None
        self.real_size = size


def check_sum(block: bytes) -> None:
    """Check a header's sum.

    The sum of the bytes is the low half of adler32, modulo 65521: 20 times faster than adding.

    Raises:
        RefusedError: it does not match.
    """
    try:
        stored = number(block[148:156])
    except RefusedError:
        raise RefusedError(_NO_HEADER) from None
    half = adler32(block[156:], adler32(block[:148])) & 0xFFFF
    if (stored - _SPACES + 1 - half) % _ADLER_MODULUS == 0:
        return
    # Some old archivers added signed bytes.
    rest = block[:148] + block[156:]
    if sum(rest) - 256 * sum(byte > 127 for byte in rest) + _SPACES != stored:
        raise RefusedError(_NO_HEADER)


def number(field: bytes) -> int:
    """A numeric field: octal digits, or GNU's base-256 when its first bit is set.

    Raises:
        RefusedError: it is neither.
    """
    if field[0] & 0x80:
        bits = len(field) * 8 - 1
        value = int.from_bytes(field, "big") & ((1 << bits) - 1)
        # Two's complement: the bit below the marker is the sign.
        return value - (1 << bits) if field[0] & 0x40 else value
    digits = field.partition(b"\0")[0].strip()
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        raise RefusedError(f"it is damaged: {field!r} is not an octal number") from None


def text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def full_name(block: bytes) -> bytes:
    """The name in the header, with the prefix that only POSIX headers have."""
    name = text(block[:100])
    if block[257:263] == b"ustar\0" and block[345]:
        return text(block[345:500]) + b"/" + name
    return name


def pax_records(data: bytes) -> dict[bytes, bytes]:
    """The `length key=value` lines of an extended header.

    The old sparse format 0.0 repeats two keys; they are gathered in the form of format 0.1.

    Raises:
        RefusedError: a line is malformed.
    """
    records: dict[bytes, bytes] = {}
    extents: list[bytes] = []
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 20)
        digits = data[position:space]
        end = position + (int(digits) if digits.isdigit() else 0)
        if space < 0 or end <= space or data[end - 1 : end] != b"\n":
            raise RefusedError("it is damaged: an extended header is malformed")
        key, _, value = data[space + 1 : end - 1].partition(b"=")
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            extents.append(value)
        else:
            records[key] = value
        position = end
    if extents:
        records[b"GNU.sparse.map"] = b",".join(extents)
    return records


def nanoseconds(decimal: bytes) -> int:
    """A pax time, seconds with an optional fraction, without the rounding of a float.

    Raises:
        RefusedError: it is not a number.
    """
    seconds, _, fraction = decimal.partition(b".")
    negative = seconds.startswith(b"-")
    try:
        rest = int(fraction[:9].ljust(9, b"0")) if fraction else 0
        return int(seconds) * 1_000_000_000 + (-rest if negative else rest)
    except ValueError:
        raise RefusedError(f"it is damaged: {decimal!r} is not a time") from None


def decimal(digits: bytes) -> int:
    """A non-negative decimal number.

    Raises:
        RefusedError: it is not one.
    """
    if not digits.isdigit() or len(digits) > 20:
        raise RefusedError(f"it is damaged: {digits[:40]!r} is not a number")
    return int(digits)


def extents_of(numbers: list[int]) -> list[Extent]:
    """Pair up offsets and lengths, and check that they ascend.

    Raises:
        RefusedError: they do not.
    """
    extents = list(zip(numbers[::2], numbers[1::2], strict=False))
    end = 0
    for offset, length in extents:
        if offset < end or length < 0:
            raise RefusedError("it is damaged: the extents of a sparse file overlap")
        end = offset + length
    return extents
