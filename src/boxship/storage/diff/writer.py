"""Tar entries written as bytes: POSIX ustar, and pax headers for what ustar cannot hold."""

from boxship.storage.diff.headers import BLOCK, PAX, REGULAR, Extent

_LONGEST_NAME = 100
_LARGEST_ID = 0o7777777
_LARGEST_SIZE = 0o77777777777
_ZEROS = bytes(BLOCK)
END_OF_ARCHIVE = bytes(2 * BLOCK)


class Facts:
    """What one header says.

    Attributes:
        mtime: seconds since 1970: parts of a second would cost every entry a pax header, and
            the other engines drop them too.
    """

    __slots__ = ("device", "gid", "kind", "link", "mode", "mtime", "name", "size", "uid", "xattrs")

    def __init__(self, name: bytes, kind: bytes, mode: int) -> None:
        self.name = name
        self.kind = kind
        self.mode = mode
        self.uid = 0
        self.gid = 0
        self.mtime = 0
        self.size = 0
        self.link = b""
        self.device = (0, 0)
        self.xattrs: list[tuple[bytes, bytes]] = []


def header(facts: Facts, extra: dict[bytes, bytes] | None = None) -> bytes:
    """The header blocks of an entry; its data follows, padded by `padding`."""
    records = _needed_records(facts)
    if extra:
        records.update(extra)
    block = _ustar(facts)
    if not records:
        return block
    body = b"".join(_record(key, value) for key, value in sorted(records.items()))
    extended = Facts(b"pax/" + facts.name[:90], PAX, 0o644)
    extended.size = len(body)
    return _ustar(extended) + body + padding(len(body)) + block


def padding(size: int) -> bytes:
    return _ZEROS[: -size % BLOCK]


def sparse_header(facts: Facts, extents: list[Extent]) -> bytes:
    """Header and map of a sparse file, in GNU's pax format 1.0; the extents' data follows.

    `facts.size` is the size of the file, holes included.
    """
    lines = [b"%d\n" % len(extents)]
    lines += [b"%d\n%d\n" % extent for extent in extents]
    sparse_map = b"".join(lines)
    sparse_map += padding(len(sparse_map))
    records = {
        b"GNU.sparse.major": b"1",
        b"GNU.sparse.minor": b"0",
        b"GNU.sparse.name": facts.name,
        b"GNU.sparse.realsize": b"%d" % facts.size,
    }
    stored = Facts(facts.name, REGULAR, facts.mode)
    stored.uid, stored.gid, stored.mtime = facts.uid, facts.gid, facts.mtime
    stored.xattrs = facts.xattrs
    stored.size = len(sparse_map) + sum(length for _, length in extents)
    return header(stored, records) + sparse_map


def _needed_records(facts: Facts) -> dict[bytes, bytes]:
    records: dict[bytes, bytes] = {}
    if len(facts.name) > _LONGEST_NAME:
        records[b"path"] = facts.name
    if len(facts.link) > _LONGEST_NAME:
        records[b"linkpath"] = facts.link
    if facts.uid > _LARGEST_ID:
        records[b"uid"] = b"%d" % facts.uid
    if facts.gid > _LARGEST_ID:
        records[b"gid"] = b"%d" % facts.gid
    if facts.size > _LARGEST_SIZE:
        records[b"size"] = b"%d" % facts.size
    if facts.mtime < 0:
        records[b"mtime"] = b"%d" % facts.mtime
    for name, value in facts.xattrs:
        records[b"SCHILY.xattr." + name] = value
    return records


def _ustar(facts: Facts) -> bytes:
    """The plain header; values that do not fit are zero here, and a pax record says them."""
    uid = facts.uid if facts.uid <= _LARGEST_ID else 0
    gid = facts.gid if facts.gid <= _LARGEST_ID else 0
    size = facts.size if facts.size <= _LARGEST_SIZE else 0
    numbers = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        facts.mode,
        uid,
        gid,
        size,
        max(facts.mtime, 0),
    )
    front = facts.name[:_LONGEST_NAME].ljust(_LONGEST_NAME, b"\0") + numbers
    back = b"%b%bustar\0%b%b%b" % (
        facts.kind,
        facts.link[:_LONGEST_NAME].ljust(_LONGEST_NAME, b"\0"),
        b"00".ljust(66, b"\0"),
        b"%07o\0%07o\0" % facts.device,
        _ZEROS[:167],
    )
    checksum = sum(front) + sum(back) + 8 * 32
    return b"%b%06o\0 %b" % (front, checksum, back)


def _record(key: bytes, value: bytes) -> bytes:
    """A pax line; its length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)
