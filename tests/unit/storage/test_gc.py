"""Collection: nothing that is reachable or leased goes, and all the rest does."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxship.model.digest import Digest, digest_of
from boxship.storage.content.store import ContentStore
from boxship.storage.gc import Leases, Roots, collect
from boxship.storage.snapshots.store import SnapshotStore

CHAIN = tuple(digest_of(b"layer%d" % number) for number in range(4))


@pytest.fixture
def content(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "content")


@pytest.fixture
def snapshots(tmp_path: Path) -> Iterator[SnapshotStore]:
    store = SnapshotStore(tmp_path / "snapshots")
    parent = None
    for name in CHAIN:
        with store.stage(name, parent) as stage:
            stage.commit()
        parent = name
    yield store
    store.close()


def nothing() -> Roots:
    return Roots(frozenset(), frozenset())


def test_unreachable_goes(content: ContentStore, snapshots: SnapshotStore) -> None:
    kept, gone = content.write(b"kept"), content.write(b"gone")
    used = Roots(frozenset({kept}), frozenset({CHAIN[1]}))
    collected = collect(content, snapshots, Leases(), lambda: used)
    assert collected.blobs == (gone,)
    assert collected.size == 4
    assert set(collected.snapshots) == {CHAIN[2], CHAIN[3]}
    assert {name for name, _ in snapshots.walk()} == {CHAIN[0], CHAIN[1]}


def test_young_blobs_stay_when_asked(content: ContentStore, snapshots: SnapshotStore) -> None:
    old, young = content.write(b"old"), content.write(b"young")
    os.utime(content.path(old), (0, 0))
    collected = collect(content, snapshots, Leases(), nothing, min_age=3600)
    assert collected.blobs == (old,)
    assert content.has(young)
    assert len(collected.snapshots) == len(CHAIN)


def test_only_what_is_named_goes(content: ContentStore, snapshots: SnapshotStore) -> None:
    mine, other = content.write(b"mine"), content.write(b"other")
    collected = collect(content, snapshots, Leases(), nothing, among={mine, CHAIN[3], CHAIN[1]})
    assert collected.blobs == (mine,)
    assert content.has(other)
    # The one in the middle is stood upon.
    assert collected.snapshots == (CHAIN[3],)


def test_active_snapshots_hold_their_layers(
    content: ContentStore, snapshots: SnapshotStore
) -> None:
    snapshots.prepare("box", CHAIN[2])
    collected = collect(content, snapshots, Leases(), nothing)
    assert collected.snapshots == (CHAIN[3],)


def test_leases_hold(content: ContentStore, snapshots: SnapshotStore) -> None:
    blob = content.write(b"blob")
    leases = Leases()
    with leases.hold() as lease:
        lease.add(blob, CHAIN[1])
        collected = collect(content, snapshots, leases, nothing)
        assert collected.blobs == ()
        # A leased layer keeps those below it, or it would be of no use.
        assert set(collected.snapshots) == {CHAIN[2], CHAIN[3]}
    collected = collect(content, snapshots, leases, nothing)
    assert collected.blobs == (blob,)
    assert collected.snapshots == (CHAIN[1], CHAIN[0])


def test_a_lease_that_ends_meanwhile_still_counts(
    content: ContentStore, snapshots: SnapshotStore
) -> None:
    blob = content.write(b"blob")
    leases = Leases()
    held = leases.hold()
    held.__enter__().add(blob)

    def roots() -> Roots:
        # The operation records its image and ends right after the roots were read.
        held.__exit__(None, None, None)
        return nothing()

    assert collect(content, snapshots, leases, roots).blobs == ()
    assert collect(content, snapshots, leases, nothing).blobs == (blob,)


def test_removing_is_exclusive_with_leasing(content: ContentStore) -> None:
    blob = content.write(b"blob")
    leases = Leases()
    assert leases.unless_leased(blob, lambda: content.delete(blob))
    assert not leases.unless_leased(Digest("x"), lambda: False)
