"""Directories into tar streams: layers with whiteouts, and plain exports.

Trees are walked by directory descriptors, never through a symbolic link, so that a container that
changes its tree meanwhile cannot make the walk leave it.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from boxship.errors import ConflictError
from boxship.storage.diff.codec import Compression
from boxship.storage.diff.headers import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    Extent,
)
from boxship.storage.diff.stream import Packed, Sink, TarStream
from boxship.storage.diff.writer import Facts, header, padding, sparse_header

_CHUNK = 1 << 20
# Smaller holes compress well, and not every reader of tar knows sparse files.
_LEAST_HOLES = 1 << 20
_OPAQUE = ("user.overlay.opaque", "trusted.overlay.opaque")
_WHITEOUT = ("user.overlay.whiteout", "trusted.overlay.whiteout")
_KEPT_XATTRS = ("user.", "security.capability")
_OVERLAY_XATTRS = ("user.overlay.", "trusted.overlay.")
_KINDS = {
    stat.S_IFREG: REGULAR,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFIFO: FIFO,
    stat.S_IFCHR: CHARACTER,
    stat.S_IFBLK: BLOCK_DEVICE,
}
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def write_layer(
    upper: Path, out: Sink, *, compression: Compression = "gzip", clamp: int | None = None
) -> Packed:
    """Write an overlay upper directory as an OCI layer; equal trees give equal bytes.

    Args:
        upper: `SnapshotStore.upper`, or a layer's tree.
        out: takes the stream as it is made, perhaps in another thread; it is not closed.
        compression: how to compress on the way out.
        clamp: no entry is newer than this (seconds since 1970), for reproducible builds.

    Raises:
        ConflictError: a file changed while it was read.
    """
    with TarStream(out, compression) as stream:
        _Packer(stream, overlay=True, clamp=clamp).pack(upper, b".")
        return stream.finish()


def write_tree(
    root: Path, out: Sink, *, name: str = ".", compression: Compression = "none"
) -> Packed:
    """Write a plain directory or file as tar: for export, cp and build contexts.

    Args:
        root: what to write. It is not followed when it is a symbolic link, and nothing in it is.
        out: takes the stream as it is made; it is not closed.
        name: what the root is called in the archive.
        compression: how to compress on the way out.

    Raises:
        ConflictError: a file changed while it was read.
    """
    with TarStream(out, compression) as stream:
        _Packer(stream, overlay=False, clamp=None).pack(root, os.fsencode(name))
        return stream.finish()


class _Packer:
    """Walks one tree in the order of names."""

    def __init__(self, stream: TarStream, *, overlay: bool, clamp: int | None) -> None:
        self._stream = stream
        self._overlay = overlay
        self._clamp = clamp
        self._links: dict[tuple[int, int], bytes] = {}

    def pack(self, root: Path, name: bytes) -> None:
        parent = os.open(root.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._pack_tree(parent, os.fsencode(root.name), name)
        finally:
            os.close(parent)

    def _pack_tree(self, parent: int, base: bytes, name: bytes) -> None:
        facts = os.stat(base, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(facts.st_mode):
            self._pack_one(parent, base, name, facts)
            return
        fd = os.open(base, _OPEN_DIRECTORY, dir_fd=parent)
        try:
            self._pack_directory(fd, name)
        finally:
            os.close(fd)

    def _pack_directory(self, fd: int, name: bytes) -> None:
        xattrs = _xattrs(fd)
        entry = self._facts(name + b"/", os.fstat(fd))
        entry.xattrs = _kept(xattrs)
        self._stream.begin(header(entry))
        prefix = b"" if name == b"." else name + b"/"
        if self._overlay and any(xattrs.get(key) == b"y" for key in _OPAQUE):
            self._stream.begin(header(Facts(prefix + b".wh..wh..opq", REGULAR, 0o600)))
        for base in _sorted_names(fd):
            # Only a change while walking can take a name away.
            with suppress(FileNotFoundError):
                self._pack_tree(fd, base, prefix + base)

    def _pack_one(self, parent: int, base: bytes, name: bytes, facts: os.stat_result) -> None:
        if self._overlay and _is_whiteout(parent, base, facts):
            directory, _, hidden = name.rpartition(b"/")
            place = directory + b"/" if directory else b""
            self._stream.begin(header(Facts(place + b".wh." + hidden, REGULAR, 0o600)))
            return
        if stat.S_IFMT(facts.st_mode) not in _KINDS:
            # Sockets are names of processes that are gone.
            return
        entry = self._facts(name, facts)
        if facts.st_nlink > 1 and self._is_link(entry, facts):
            self._stream.begin(header(entry))
        elif entry.kind == REGULAR:
            self._pack_file(parent, base, entry)
        else:
            if entry.kind == SYMLINK:
                entry.link = os.readlink(base, dir_fd=parent)
            elif entry.kind in (CHARACTER, BLOCK_DEVICE):
                entry.device = os.major(facts.st_rdev), os.minor(facts.st_rdev)
            self._stream.begin(header(entry))

    def _facts(self, name: bytes, facts: os.stat_result) -> Facts:
        entry = Facts(name, _KINDS[stat.S_IFMT(facts.st_mode)], stat.S_IMODE(facts.st_mode))
        entry.uid, entry.gid = facts.st_uid, facts.st_gid
        entry.mtime = facts.st_mtime_ns // 1_000_000_000
        if self._clamp is not None:
            entry.mtime = min(entry.mtime, self._clamp)
        return entry

    def _is_link(self, entry: Facts, facts: os.stat_result) -> bool:
        """Whether the file was written before under another name; the entry then says which."""
        first = self._links.setdefault((facts.st_dev, facts.st_ino), entry.name)
        if first == entry.name:
            return False
        entry.kind, entry.link = HARD_LINK, first
        return True

    def _pack_file(self, parent: int, base: bytes, entry: Facts) -> None:
        fd = os.open(base, _OPEN_FILE, dir_fd=parent)
        try:
            facts = os.fstat(fd)
            entry.size = facts.st_size
            entry.xattrs = _kept(_xattrs(fd))
            extents = _extents(fd, facts)
            if extents is None:
                extents = [(0, entry.size)]
                self._stream.begin(header(entry))
            else:
                self._stream.begin(sparse_header(entry, extents))
            for offset, length in extents:
                self._copy(fd, entry, offset, length)
            self._stream.write(padding(sum(length for _, length in extents)))
        finally:
            os.close(fd)

    def _copy(self, fd: int, entry: Facts, offset: int, length: int) -> None:
        left = length
        while left:
            chunk = os.pread(fd, min(left, _CHUNK), offset)
            if not chunk:
                name = os.fsdecode(entry.name)
                raise ConflictError(f"file {name!r} became shorter while it was read")
            self._stream.write(chunk)
            offset += len(chunk)
            left -= len(chunk)


def _sorted_names(fd: int) -> Iterator[bytes]:
    return iter(sorted(os.fsencode(name) for name in os.listdir(fd)))


def _is_whiteout(parent: int, base: bytes, facts: os.stat_result) -> bool:
    """Overlay's two forms: a 0/0 device, or since kernel 6.7 an empty file with an attribute."""
    if stat.S_ISCHR(facts.st_mode):
        return facts.st_rdev == 0
    if not stat.S_ISREG(facts.st_mode) or facts.st_size:
        return False
    fd = os.open(base, _OPEN_FILE, dir_fd=parent)
    try:
        return not set(os.listxattr(fd)).isdisjoint(_WHITEOUT)
    finally:
        os.close(fd)


def _xattrs(fd: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name in os.listxattr(fd):
        with suppress(OSError):
            found[name] = os.getxattr(fd, name)
    return found


def _kept(xattrs: dict[str, bytes]) -> list[tuple[bytes, bytes]]:
    """Those that belong to the image; ACLs hold ids of this host, labels its policy."""
    return [
        (os.fsencode(name), value)
        for name, value in sorted(xattrs.items())
        if name.startswith(_KEPT_XATTRS) and not name.startswith(_OVERLAY_XATTRS)
    ]


def _extents(fd: int, facts: os.stat_result) -> list[Extent] | None:
    """Where the data of a file with large holes is; None for other files (lseek(2), SEEK_DATA)."""
    if facts.st_size - facts.st_blocks * 512 < _LEAST_HOLES:
        return None
    extents: list[Extent] = []
    position = 0
    while position < facts.st_size:
        try:
            start = os.lseek(fd, position, os.SEEK_DATA)
        except OSError:
            # ENXIO: a hole up to the end, which GNU tar makes of an empty extent there.
            extents.append((facts.st_size, 0))
            break
        position = os.lseek(fd, start, os.SEEK_HOLE)
        extents.append((start, position - start))
    return extents
