"""The content store: blobs named by what is in them.

On disk it is an OCI image layout (image-layout.md 1.1), so any OCI tool can read it:

    ROOT/oci-layout
    ROOT/index.json
    ROOT/blobs/sha256/HEX      whole and verified, or absent
    ROOT/ingest/KEY            partial writes, resumable by key

A blob is written to an ingest file, verified, fsynced and renamed; one that exists is whole.
Every method may be called from any thread.
"""

import hashlib
import math
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from boxship.errors import NotFoundError
from boxship.model.digest import Digest, digest_of, hex_of, parse_digest
from boxship.storage.content.ingest import Ingest, clean_partials, discard_partials

_BLOCK = 1 << 20
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_EMPTY_INDEX = b'{"schemaVersion":2,"manifests":[]}'


class ContentUsage(NamedTuple):
    """What the blobs take: bytes of content and how many there are."""

    size: int
    blobs: int


class ContentStore:
    """Blobs by digest under one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._blobs = root / "blobs" / "sha256"
        self._ingests = root / "ingest"
        for directory in (self._blobs, self._ingests):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, text in (("oci-layout", _LAYOUT), ("index.json", _EMPTY_INDEX)):
            if not (root / name).exists():
                (root / name).write_bytes(text)

    def path(self, digest: Digest) -> Path:
        """Where the blob is, or would be."""
        return self._blobs / hex_of(parse_digest(digest))

    def has(self, digest: Digest) -> bool:
        return self.path(digest).exists()

    def size(self, digest: Digest) -> int:
        """Bytes of the blob.

        Raises:
            NotFoundError: there is no such blob.
        """
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError as absent:
            raise _missing(digest) from absent

    def open(self, digest: Digest) -> BinaryIO:
        """The blob for reading; the caller closes it. It stays readable if deleted meanwhile.

        Raises:
            NotFoundError: there is no such blob.
        """
        try:
            return self.path(digest).open("rb", buffering=0)
        except FileNotFoundError as absent:
            raise _missing(digest) from absent

    def verify(self, digest: Digest) -> bool:
        """Whether the blob still is what its name says; reads all of it.

        Raises:
            NotFoundError: there is no such blob.
        """
        with self.open(digest) as blob:
            found = hashlib.sha256()
            while block := blob.read(_BLOCK):
                found.update(block)
        return found.hexdigest() == hex_of(digest)

    def read(self, digest: Digest) -> bytes:
        """The whole blob: for manifests and configs.

        Raises:
            NotFoundError: there is no such blob.
        """
        with self.open(digest) as blob:
            return blob.read()

    def write(self, data: bytes, expected: Digest | None = None) -> Digest:
        """Store a small document; does nothing when it is there already.

        Raises:
            InvalidArgumentError: the data does not have the expected digest.
            ExhaustedError: no space left.
        """
        digest = digest_of(data)
        if expected in (None, digest) and self.has(digest):
            return digest
        with self.ingest(f"write-{os.getpid()}-{os.urandom(8).hex()}", expected) as ingest:
            try:
                ingest.write(data)
                return ingest.commit()
            finally:
                ingest.abort()

    def ingest(self, key: str, expected: Digest | None = None, size: int | None = None) -> Ingest:
        """Begin or resume a blob; at most one at a time for a key.

        The key is any text that names the source (a digest, an upload). What an earlier,
        interrupted ingest of the key had written is kept and counted in `Ingest.offset`.

        Raises:
            ConflictError: another ingest of this key is open.
            ExhaustedError: no space left.
        """
        return Ingest(self._ingests, self._blobs, key, expected=expected, size=size)

    def delete(self, digest: Digest) -> bool:
        """Remove the blob; tell whether it was there. Open readers keep what they have."""
        try:
            self.path(digest).unlink()
        except FileNotFoundError:
            return False
        return True

    def walk(self, min_age: float = 0) -> Iterator[tuple[Digest, int]]:
        """Every blob at least `min_age` seconds old and its size in bytes, in no particular order.

        The age is that of its last byte.
        """
        # File times are wall-clock times, so they are compared with the wall clock.
        youngest = time.time_ns() / 1e9 - min_age if min_age else math.inf
        with os.scandir(self._blobs) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    facts = entry.stat()
                    if facts.st_mtime <= youngest:
                        yield Digest(f"sha256:{entry.name}"), facts.st_size

    def usage(self) -> ContentUsage:
        sizes = [size for _, size in self.walk()]
        return ContentUsage(sum(sizes), len(sizes))

    def clean(self, max_age: float) -> int:
        """Remove partial ingests untouched for `max_age` seconds and not open; return how many."""
        return clean_partials(self._ingests, max_age)

    def discard(self, key: str) -> None:
        """Forget what an interrupted ingest of this key left, if anything and if not open."""
        discard_partials(self._ingests, key)


def _missing(digest: Digest) -> NotFoundError:
    return NotFoundError(f"content {digest} is not in the store")
