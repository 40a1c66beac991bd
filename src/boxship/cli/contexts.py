"""Packing a build context: the directory as a tar stream, without what .dockerignore excludes."""

import io
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


class _Buffer(io.RawIOBase):
    """What tarfile writes, to be taken away piece by piece."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self.parts.append(bytes(data))
        self.size += len(data)
        return len(data)

    def take(self) -> bytes:
        data = b"".join(self.parts)
        self.parts.clear()
        self.size = 0
        return data


def pack(directory: Path, dockerfile: str, extra: "dict[str, bytes]") -> "Iterator[bytes]":
    """The context as chunks of a tar stream.

    Ownership is dropped, as Docker's client drops it; the Dockerfile and .dockerignore always go
    along, for the engine reads them.

    Args:
        directory: the context.
        dockerfile: path of the Dockerfile within it.
        extra: further files by name (a Dockerfile from elsewhere).

    Raises:
        UsageError: the directory or something in it cannot be read.
    """
    ignore = Ignore.of(directory, dockerfile)
    buffer = _Buffer()
    with tarfile.open(fileobj=buffer, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for name in _names(directory, ignore, {dockerfile, ".dockerignore"}):
            _add(archive, directory, name)
            if buffer.size > _CHUNK:
                yield buffer.take()
        for name, data in extra.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o600
            archive.addfile(info, io.BytesIO(data))
    yield buffer.take()


def _names(directory: Path, ignore: Ignore, kept: "set[str]") -> "Iterator[str]":
    for root, folders, files in os.walk(directory, onerror=_unreadable):
        base = os.path.relpath(root, directory)
        prefix = "" if base == "." else f"{base}/"
        folders.sort()
        for name in sorted(folders + files):
            path = prefix + name
            excluded = ignore.excludes(path)
            if not excluded or path in kept:
                yield path
            elif name in folders and not ignore.may_include_below(path):
                folders.remove(name)


def _unreadable(error: OSError) -> None:
    raise UsageError(f"cannot read the build context: {error}")


def _add(archive: tarfile.TarFile, directory: Path, name: str) -> None:
    try:
        if stat.S_ISSOCK((directory / name).lstat().st_mode):
            return  # A socket has no place in an archive.
        info = archive.gettarinfo(directory / name, arcname=name)
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        if not info.isreg():
            archive.addfile(info)
            return
        with (directory / name).open("rb") as file:
            archive.addfile(info, file)
    except OSError as error:
        raise UsageError(f"cannot read {name} of the build context: {error}") from error
