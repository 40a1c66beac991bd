"""One blob on its way into the content store."""

import fcntl
import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from boxship.errors import ConflictError, InvalidArgumentError
from boxship.model.digest import Digest, hex_of, parse_digest
from boxship.storage.space import guard_space

_HASH_CHUNK = 1 << 20


class Ingest:
    """A partial blob: append with `write`, then `commit`.

    Closing without commit (also by leaving the `with` block) keeps the bytes for a later resume;
    `abort` throws them away. The file is locked while open, so a second ingest of the same key is
    refused, in this process or another.

    Attributes:
        offset: bytes written so far, including those of earlier interrupted ingests.
    """

    def __init__(
        self,
        directory: Path,
        blobs: Path,
        key: str,
        *,
        expected: Digest | None,
        size: int | None,
    ) -> None:
        self._path = _partial_path(directory, key)
        self._blobs = blobs
        self._key = key
        self._expected = None if expected is None else parse_digest(expected)
        self._size = size
        self._hash = hashlib.sha256()
        self.offset = 0
        with guard_space(f"content {key}"):
            self._fd = _open_locked(self._path, key)
        self._rehash()

    def _rehash(self) -> None:
        """Hash what an interrupted ingest left; the write position ends behind it."""
        while chunk := os.read(self._fd, _HASH_CHUNK):
            self._hash.update(chunk)
            self.offset += len(chunk)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append; returns the number of bytes, which is always all of them.

        Raises:
            ExhaustedError: no space left; what was written stays for a resume.
            InvalidArgumentError: more bytes than the announced size.
        """
        length = len(data)
        if self._size is not None and self.offset + length > self._size:
            raise InvalidArgumentError(
                f"content {self._name()} is larger than the announced {self._size} bytes"
            )
        with guard_space(f"content {self._key}"):
            _write_all(self._fd, data)
        self._hash.update(data)
        self.offset += length
        return length

    def reset(self) -> None:
        """Start again from nothing: the source cannot resume at `offset`."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self.offset = 0

    def commit(self) -> Digest:
        """Verify and publish the blob; its digest names it from now on.

        Raises:
            InvalidArgumentError: size or digest differ from what was announced; the partial
                content is discarded, because resuming it cannot help.
            ExhaustedError: no space left.
        """
        digest = Digest("sha256:" + self._hash.hexdigest())
        try:
            self._verify(digest)
        except InvalidArgumentError:
            self.abort()
            raise
        with guard_space(f"content {self._key}"):
            os.fsync(self._fd)
        os.fchmod(self._fd, 0o444)
        self._path.replace(self._blobs / hex_of(digest))
        _sync_directory(self._blobs)
        self.close()
        return digest

    def _verify(self, digest: Digest) -> None:
        if self._size is not None and self.offset != self._size:
            raise InvalidArgumentError(
                f"content {self._name()} has {self.offset} bytes instead of {self._size}"
            )
        if self._expected is not None and digest != self._expected:
            raise InvalidArgumentError(
                f"content {self._expected} does not match its digest: it is {digest}",
                hint="the source is damaged or lying; nothing of it was kept",
            )

    def _name(self) -> str:
        return self._expected or self._key

    def abort(self) -> None:
        """Throw the partial content away; does nothing after commit."""
        if self._fd >= 0:
            with suppress(FileNotFoundError):
                self._path.unlink()
            self.close()

    def close(self) -> None:
        """Keep the partial content for a later resume; does nothing after commit."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def clean_partials(directory: Path, max_age: float) -> int:
    """Remove partial ingests not open and untouched for `max_age` seconds; count them."""
    # File times are wall-clock times, so they are compared with the wall clock.
    oldest = time.time_ns() / 1e9 - max_age
    removed = 0
    for path in directory.iterdir():
        with suppress(FileNotFoundError):
            if path.stat().st_mtime <= oldest:
                removed += _remove_unlocked(path)
    return removed


def discard_partials(directory: Path, key: str) -> None:
    """Remove the partial ingest of one key unless it is open."""
    with suppress(FileNotFoundError):
        _remove_unlocked(_partial_path(directory, key))


def _partial_path(directory: Path, key: str) -> Path:
    return directory / hashlib.sha256(key.encode()).hexdigest()[:32]


def _remove_unlocked(path: Path) -> bool:
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def _open_locked(path: Path, key: str) -> int:
    """Open and lock the partial file.

    The file may be renamed or removed between open and lock, by the ingest that held it; then the
    lock is on a file nobody sees, so look again.
    """
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd
        except BlockingIOError as held:
            os.close(fd)
            raise ConflictError(f"content {key} is already being written") from held
        except FileNotFoundError:
            pass
        os.close(fd)


def _write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
