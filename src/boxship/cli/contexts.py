"""Packing a build context: the directory as a tar stream, without what .dockerignore excludes."""

import os
import stat
import tarfile
from pathlib import Path

from boxship.cli.flags import UsageError
from boxship.cli.ignore import Ignore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 18
_BLOCK = 512
# What eleven octal digits hold.
_USTAR_SIZE = 8**11
# Two blocks of zeros end an archive.
_END = bytes(2 * _BLOCK)


def pack(directory: Path, dockerfile: str, extra: "dict[str, bytes]") -> "Iterator[bytes]":
    """The context as chunks of a tar stream.

    Ownership is dropped, as Docker's client drops it; the Dockerfile and .dockerignore always go
    along, for the engine reads them. Headers come from `tarfile`, the stream does not: its way of
    adding a file looks up the owner's name each time and took half of a cached build.

    Args:
        directory: the context.
        dockerfile: path of the Dockerfile within it.
        extra: further files by name (a Dockerfile from elsewhere).

    Raises:
        UsageError: the directory or something in it cannot be read.
    """
    ignore = Ignore.of(directory, dockerfile)
    root = str(directory)
    parts: list[bytes] = []
    size = 0
    for name in _names(directory, ignore, {dockerfile, ".dockerignore"}):
        for data in _entry(f"{root}/{name}", name):
            parts.append(data)
            size += len(data)
            if size > _CHUNK:
                yield b"".join(parts)
                parts, size = [], 0
    for name, data in extra.items():
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o600
        parts += [_header(info), data, _padding(len(data))]
    yield b"".join([*parts, _END])


def _names(directory: Path, ignore: Ignore, kept: "set[str]") -> "Iterator[str]":
    base = len(str(directory)) + 1
    for root, folders, files in os.walk(str(directory), onerror=_unreadable):
        prefix = f"{root[base:]}/" if len(root) >= base else ""
        folders.sort()
        inner = set(folders)
        for name in sorted(folders + files):
            path = prefix + name
            excluded = ignore.excludes(path)
            if not excluded or path in kept:
                yield path
            elif name in inner and not ignore.may_include_below(path):
                folders.remove(name)


def _unreadable(error: OSError) -> None:
    raise UsageError(f"cannot read the build context: {error}")


def _entry(path: str, name: str) -> "Iterator[bytes]":
    """One entry: its header, and a file's content with its padding."""
    try:
        facts = os.lstat(path)
        info = tarfile.TarInfo(name)
        info.mode, info.mtime = stat.S_IMODE(facts.st_mode), int(facts.st_mtime)
        if stat.S_ISREG(facts.st_mode):
            info.size = facts.st_size
            yield _header(info)
            yield from _content(path, facts.st_size)
        elif stat.S_ISDIR(facts.st_mode):
            info.type = tarfile.DIRTYPE
            yield _header(info)
        elif stat.S_ISLNK(facts.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)  # noqa: PTH115
            yield _header(info)
        elif stat.S_ISFIFO(facts.st_mode):
            info.type = tarfile.FIFOTYPE
            yield _header(info)
        # Sockets and devices have no place in a build context.
    except OSError as error:
        raise UsageError(f"cannot read {name} of the build context: {error}") from error


def _content(path: str, size: int) -> "Iterator[bytes]":
    """Exactly the bytes the header promised, even of a file that changes meanwhile."""
    left = size
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a Path for each file is slow
        while left and (data := file.read(min(left, _CHUNK))):
            left -= len(data)
            yield data
    yield bytes(left) + _padding(size)


def _header(info: tarfile.TarInfo) -> bytes:
    """A header: the common kind by hand, ten times as fast; tarfile for names beyond ustar."""
    name = info.name + ("/" if info.type == tarfile.DIRTYPE else "")
    short = len(name) <= 100 and len(info.linkname) <= 100
    if not (short and name.isascii() and info.linkname.isascii() and info.size < _USTAR_SIZE):
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    mtime = max(int(info.mtime), 0)
    numbers = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        info.mode,
        0,
        0,
        info.size,
        mtime,
    )
    tail = info.type + info.linkname.encode().ljust(100, b"\0") + b"ustar\00000"
    head = name.encode().ljust(100, b"\0") + numbers
    total = sum(head) + sum(tail) + 8 * ord(" ")
    return (head + b"%06o\0 " % total + tail).ljust(_BLOCK, b"\0")


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
