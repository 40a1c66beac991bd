"""The memory of earlier builds: results by key.

A key says everything that can change a result: the operation, the chain id of the file system it
builds on, and a digest of what else it reads. So a record never becomes wrong; it can only lose
its layer to garbage collection, and then it is a miss.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from boxship.builder.solver.results import Layer, Result


class Row(Protocol):
    """A stored document."""

    @property
    def id(self) -> str: ...
    @property
    def body(self) -> bytes: ...


class Store(Protocol):
    """Documents by key, as `boxship.storage.records` keeps them."""

    def put(self, key: str, name: str | None, body: bytes) -> None: ...
    def find(self, key: str) -> Row | None: ...
    def list(self) -> Sequence[Row]: ...
    def delete(self, key: str) -> object: ...


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One remembered result.

    Attributes:
        description: the operation, for people.
        used: when it was made or last found, in nanoseconds since the epoch.
    """

    chain: str
    created: str
    description: str
    used: int
    layer: Layer | None = None


class BuildCache:
    """Results in a store; safe to share between builds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._decoder = msgspec.json.Decoder(Entry)
        self._encoder = msgspec.json.Encoder()

    def find(self, key: str, now: int) -> Result | None:
        """The result remembered under a key; it counts as used now."""
        row = self._store.find(f"result:{key}")
        if row is None:
            return None
        entry = self._decoder.decode(row.body)
        # Writing at most once an hour keeps a fully cached build free of writes.
        if now - entry.used > 3600 * 10**9:
            renewed = msgspec.structs.replace(entry, used=now)
            self._store.put(row.id, None, self._encoder.encode(renewed))
        return Result(key, entry.chain, entry.layer, entry.created, cached=True)

    def remember(self, result: Result, description: str, now: int) -> None:
        entry = Entry(result.chain, result.created, description, now, result.layer)
        self._store.put(f"result:{result.key}", None, self._encoder.encode(entry))

    def note(self, kind: str, key: str) -> str | None:
        """A digest remembered of something that cannot change (files of a committed snapshot)."""
        row = self._store.find(f"{kind}:{key}")
        return row.body.decode() if row is not None else None

    def take_note(self, kind: str, key: str, digest: str) -> None:
        self._store.put(f"{kind}:{key}", None, digest.encode())

    def entries(self) -> Iterator[Entry]:
        for row in self._store.list():
            if row.id.startswith("result:"):
                yield self._decoder.decode(row.body)

    def prune(self, unused_since: int | None = None) -> list[Entry]:
        """Forget results not used since a time (nanoseconds since the epoch), or all of them.

        Digests of snapshots are forgotten too: they are cheap to make again.
        """
        gone: list[Entry] = []
        for row in list(self._store.list()):
            if not row.id.startswith("result:"):
                self._store.delete(row.id)
                continue
            entry = self._decoder.decode(row.body)
            if unused_since is None or entry.used < unused_since:
                self._store.delete(row.id)
                gone.append(entry)
        return gone
