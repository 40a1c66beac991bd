"""Layers that a power cut may have spoilt are told by their marks."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from boxship.model.digest import digest_of
from boxship.storage.snapshots.store import SnapshotStore

CHAIN = tuple(digest_of(b"layer%d" % number) for number in range(3))
NEVER = 3600.0
AT_ONCE = 0.0


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., SnapshotStore]]:
    stores: list[SnapshotStore] = []

    def open_store(boot: str, quiet: float = NEVER) -> SnapshotStore:
        stores.append(SnapshotStore(tmp_path / "snapshots", boot=boot, quiet=quiet))
        return stores[-1]

    yield open_store
    for one in stores:
        one.close()


def add(store: SnapshotStore, *names: str) -> None:
    for name in names:
        index = CHAIN.index(name)
        with store.stage(name, CHAIN[index - 1] if index else None) as stage:
            (stage.path / "file").write_text(name)
            stage.commit()


def marks(store: SnapshotStore) -> list[Path]:
    return list(store.root.glob("l/*/unsettled"))


def until_settled(store: SnapshotStore) -> None:
    deadline = time.monotonic() + 10
    while marks(store):
        assert time.monotonic() < deadline
        time.sleep(0.002)


def names(store: SnapshotStore) -> set[str]:
    return {name for name, _ in store.walk()}


def test_a_killed_daemon_costs_nothing(opened: Callable[..., SnapshotStore]) -> None:
    add(opened("one"), *CHAIN)
    assert names(opened("one")) == set(CHAIN)


def test_a_power_cut_costs_what_was_not_on_the_disk(
    opened: Callable[..., SnapshotStore],
) -> None:
    add(opened("one"), *CHAIN)
    store = opened("two")
    assert names(store) == set()
    # And they can be made again under their names.
    add(store, *CHAIN)
    assert names(store) == set(CHAIN)


def test_settled_layers_stay(opened: Callable[..., SnapshotStore]) -> None:
    store = opened("one", AT_ONCE)
    add(store, CHAIN[0], CHAIN[1])
    until_settled(store)
    store.close()
    add(opened("one"), CHAIN[2])
    assert names(opened("two")) == {CHAIN[0], CHAIN[1]}


def test_a_later_daemon_settles_what_an_earlier_one_did_not(
    opened: Callable[..., SnapshotStore],
) -> None:
    add(opened("one"), CHAIN[0])
    until_settled(opened("one", AT_ONCE))
    assert names(opened("two")) == {CHAIN[0]}


def test_what_stands_on_a_spoilt_layer_goes_too(opened: Callable[..., SnapshotStore]) -> None:
    """Marks go one by one: the one of a lower layer may be what comes back after the cut."""
    store = opened("one", AT_ONCE)
    add(store, *CHAIN)
    until_settled(store)
    (store.layers(CHAIN[1])[0].parent / "unsettled").write_text("one")
    assert names(opened("two")) == {CHAIN[0]}


@pytest.mark.parametrize("text", [b"", b"\0\0\0\0", b"\xff\xfe"])
def test_spoilt_marks_and_names(opened: Callable[..., SnapshotStore], text: bytes) -> None:
    """After a power cut files may be empty or full of zeros, the store's own too."""
    store = opened("one")
    add(store, CHAIN[0])
    place = store.layers(CHAIN[0])[0].parent
    for name in ("unsettled", "chain"):
        (place / name).write_bytes(text)
    store = opened("two")
    assert names(store) == set()
    add(store, CHAIN[0])
    assert names(store) == {CHAIN[0]}


def test_closing_does_not_wait(opened: Callable[..., SnapshotStore]) -> None:
    store = opened("one", NEVER)
    add(store, CHAIN[0])
    store.close()
    assert not any(thread.name == "settling" for thread in threading.enumerate())
    assert len(marks(store)) == 1
