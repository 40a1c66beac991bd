"""Garbage collection: what nothing reaches and nobody leases is removed."""

import threading
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import NamedTuple

from boxship.model.digest import Digest
from boxship.storage.content.store import ContentStore
from boxship.storage.snapshots.store import SnapshotStore


class Roots(NamedTuple):
    """What is in use: blobs by digest, and committed snapshots by chain id.

    A snapshot keeps its parents; a blob keeps only itself, so list manifests, configs and layers.
    """

    blobs: frozenset[Digest]
    snapshots: frozenset[str]


class Collected(NamedTuple):
    """What was removed; `size` is the bytes of the blobs."""

    blobs: tuple[Digest, ...]
    snapshots: tuple[str, ...]
    size: int


class Leases:
    """Names that running operations use and no record reaches yet.

    They live in memory: an operation ends with its process, and what it left is then garbage.
    Lease a name before asking whether it exists; a lease that ends while a collection runs counts
    until that collection is over, because the collector read the roots before.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[object, set[str]] = {}
        self._ended: set[str] = set()
        self._collecting = 0

    @contextmanager
    def hold(self) -> Iterator["Lease"]:
        """A lease for the length of the block."""
        lease = Lease(self)
        with self._lock:
            self._held[lease] = set()
        try:
            yield lease
        finally:
            with self._lock:
                names = self._held.pop(lease)
                if self._collecting:
                    self._ended |= names

    def add(self, lease: "Lease", name: str) -> None:
        with self._lock:
            self._held[lease].add(name)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """The time from before the roots are read until the last removal."""
        with self._lock:
            self._collecting += 1
        try:
            yield
        finally:
            with self._lock:
                self._collecting -= 1
                if not self._collecting:
                    self._ended.clear()

    def unless_leased(self, name: str, remove: Callable[[], bool]) -> bool:
        """Run `remove` if nobody leases the name, and let nobody lease it meanwhile."""
        with self._lock:
            if name in self._ended or any(name in names for names in self._held.values()):
                return False
            return remove()


class Lease:
    """What one operation uses.

    Attributes:
        names: all that was ever added.
    """

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self.names: set[str] = set()

    def add(self, *names: str) -> None:
        """Keep these blobs (digests) and committed snapshots (chain ids)."""
        self.names.update(names)
        for name in names:
            self._leases.add(self, name)


def collect(
    content: ContentStore,
    snapshots: SnapshotStore,
    leases: Leases,
    roots: Callable[[], Roots],
    *,
    min_age: float = 0,
    among: AbstractSet[str] | None = None,
) -> Collected:
    """Remove the blobs and committed snapshots that are neither reachable nor leased.

    Snapshots under active ones are reachable too. The roots are asked for after the candidates
    were listed, so what comes into use meanwhile is seen either there or by its lease. Blobs
    younger than `min_age` seconds stay: an interrupted pull goes on from them. With `among`, only
    these names are looked at.
    """
    with leases.collecting():
        blobs = dict(content.walk(min_age))
        committed = dict(snapshots.walk())
        used = roots()
        kept = _with_parents(committed, [*used.snapshots, *_under_active(snapshots)])
        gone = [
            digest
            for digest in sorted(blobs.keys() - used.blobs)
            if _is_meant(digest, among)
            and leases.unless_leased(digest, lambda digest=digest: content.delete(digest))  # type: ignore[misc]
        ]
        return Collected(
            tuple(gone),
            tuple(_discard(snapshots, leases, committed, kept, among)),
            sum(blobs[digest] for digest in gone),
        )


def _under_active(snapshots: SnapshotStore) -> Iterator[str]:
    for key in snapshots.active():
        parent = snapshots.active_parent(key)
        if parent is not None:
            yield parent


def _with_parents(committed: dict[str, str | None], names: Iterable[str]) -> set[str]:
    kept: set[str] = set()
    for name in names:
        below: str | None = name
        while below is not None and below not in kept:
            kept.add(below)
            below = committed.get(below)
    return kept


def _is_meant(name: str, among: AbstractSet[str] | None) -> bool:
    return among is None or name in among


def _discard(
    snapshots: SnapshotStore,
    leases: Leases,
    committed: dict[str, str | None],
    kept: set[str],
    among: AbstractSet[str] | None,
) -> Iterator[str]:
    """Children before parents, so that no layer ever lacks the one below it."""
    unused = committed.keys() - kept
    blocked: set[str | None] = set()
    for name in sorted(unused, key=lambda name: -_height(committed, name)):
        meant = _is_meant(name, among) and name not in blocked
        if meant and leases.unless_leased(
            name,
            lambda name=name: snapshots.discard(name),  # type: ignore[misc]
        ):
            yield name
        else:
            blocked.add(committed[name])


def _height(committed: dict[str, str | None], name: str) -> int:
    height = 0
    below = committed.get(name)
    while below is not None:
        height += 1
        below = committed.get(below)
    return height
