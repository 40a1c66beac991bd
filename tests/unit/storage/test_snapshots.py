"""The snapshot store: what exists is whole, and directories are the only truth."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from boxship.errors import ConflictError, InternalError, InvalidArgumentError, NotFoundError
from boxship.model.digest import digest_of
from boxship.storage.snapshots.store import SnapshotStore

BASE = digest_of(b"base")
TOP = digest_of(b"top")


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SnapshotStore]:
    store = SnapshotStore(tmp_path / "snapshots")
    yield store
    store.close()


def add_layer(store: SnapshotStore, name: str, parent: str | None, file: str) -> None:
    with store.stage(name, parent) as stage:
        (stage.path / file).write_text(file)
        stage.commit()


def leftovers(store: SnapshotStore) -> list[str]:
    store.close()
    return [*names_in(store.root / "staging"), *names_in(store.root / "trash")]


def test_layers_stack(store: SnapshotStore) -> None:
    add_layer(store, BASE, None, "a")
    add_layer(store, TOP, BASE, "b")
    assert store.exists(BASE)
    assert store.parent(BASE) is None
    assert store.parent(TOP) == BASE
    top, base = store.layers(TOP)
    assert names_in(top) == ["b"]
    assert names_in(base) == ["a"]
    assert dict(store.walk()) == {BASE: None, TOP: BASE}
    assert store.usage(TOP).inodes == 2
    assert leftovers(store) == []


def test_paths_are_short(store: SnapshotStore) -> None:
    add_layer(store, BASE, None, "a")
    (layer,) = store.layers(BASE)
    assert len(str(layer.relative_to(store.root))) <= 21


def test_an_uncommitted_stage_leaves_nothing(store: SnapshotStore) -> None:
    with store.stage(BASE, None) as stage:
        (stage.path / "a").write_text("a")
    assert not store.exists(BASE)
    assert leftovers(store) == []
    with pytest.raises(InternalError):
        stage.commit()


def test_the_same_layer_twice_is_one(store: SnapshotStore) -> None:
    with store.stage(BASE, None) as slow:
        add_layer(store, BASE, None, "a")
        (slow.path / "a").write_text("a")
        slow.commit()
    assert len(list(store.walk())) == 1
    assert leftovers(store) == []


def test_a_forged_chain_id_takes_no_other_layers_place(store: SnapshotStore) -> None:
    add_layer(store, BASE, None, "a")
    forged = BASE[:-1] + ("0" if BASE[-1] != "0" else "1")
    assert not store.exists(forged)
    with store.stage(forged, None) as stage, pytest.raises(ConflictError, match="begins like"):
        stage.commit()
    assert store.exists(BASE)
    assert not store.discard(forged)


def test_a_name_is_known_late(store: SnapshotStore) -> None:
    with store.stage(BASE, None) as stage:
        stage.commit(TOP)
    assert store.exists(TOP)
    assert not store.exists(BASE)


def test_active_on_nothing(store: SnapshotStore) -> None:
    (mount,) = store.prepare("box", None)
    assert mount.type == "bind"
    assert mount.source == str(store.upper("box"))
    assert "rw" in mount.options
    assert store.active_parent("box") is None


def test_active_on_layers(store: SnapshotStore) -> None:
    add_layer(store, BASE, None, "a")
    add_layer(store, TOP, BASE, "b")
    store.layers(TOP)[0].chmod(0o711)
    (mount,) = store.prepare("box", TOP)
    assert mount.type == "overlay"
    top, base = store.layers(TOP)
    assert f"lowerdir={top}:{base}" in mount.options
    assert f"upperdir={store.upper('box')}" in mount.options
    assert "userxattr" in mount.options
    assert "volatile" not in mount.options
    assert store.mounts("box") == (mount,)
    assert "volatile" in store.mounts("box", volatile=True)[0].options
    # The upper directory is the root that the container sees.
    assert store.upper("box").stat().st_mode & 0o7777 == 0o711
    assert list(store.active()) == ["box"]
    assert store.active_parent("box") == TOP


def test_read_only_mounts(store: SnapshotStore) -> None:
    add_layer(store, BASE, None, "a")
    add_layer(store, TOP, BASE, "b")
    assert store.view(BASE)[0].type == "bind"
    (mount,) = store.view(TOP)
    assert mount.options[-1] == "ro"
    assert not any(option.startswith("upperdir") for option in mount.options)
    store.prepare("box", BASE)
    (mount,) = store.mounts("box", read_only=True)
    assert mount.options[0] == f"lowerdir={store.upper('box')}:{store.layers(BASE)[0]}"


def test_commit_makes_a_layer_of_what_was_written(store: SnapshotStore) -> None:
    add_layer(store, BASE, None, "a")
    store.prepare("step", BASE)
    (store.upper("step") / "b").write_text("b")
    store.commit(TOP, "step")
    assert names_in(store.layers(TOP)[0]) == ["b"]
    assert store.parent(TOP) == BASE
    assert list(store.active()) == []
    assert leftovers(store) == []
    store.prepare("step", BASE)
    store.commit(TOP, "step")
    assert names_in(store.layers(TOP)[0]) == ["b"]


def test_keys_and_parents_are_checked(store: SnapshotStore) -> None:
    store.prepare("box", None)
    with pytest.raises(ConflictError, match="box"):
        store.prepare("box", None)
    with pytest.raises(NotFoundError, match=TOP):
        store.prepare("other", TOP)
    with pytest.raises(NotFoundError, match=TOP):
        store.stage(BASE, TOP)
    with pytest.raises(NotFoundError, match="nobody"):
        store.mounts("nobody")
    with pytest.raises(InvalidArgumentError):
        store.prepare("../box", None)
    with pytest.raises(InvalidArgumentError):
        store.stage("base", None)
    assert leftovers(store) == []


def test_remove(store: SnapshotStore) -> None:
    store.prepare("box", None)
    assert store.remove("box")
    assert not store.remove("box")
    add_layer(store, BASE, None, "a")
    assert store.discard(BASE)
    assert not store.discard(BASE)
    assert leftovers(store) == []


def test_a_crash_leaves_no_half_made_layer(store: SnapshotStore, tmp_path: Path) -> None:
    stage = store.stage(BASE, None)
    (stage.path / "a").write_text("a")
    trashed = store.root / "trash" / "left"
    trashed.mkdir()
    (trashed / "file").write_text("x")
    # The next daemon finds the directories as the killed one left them.
    again = SnapshotStore(tmp_path / "snapshots")
    assert not again.exists(BASE)
    assert leftovers(again) == []


def test_directory_names_that_overlay_cannot_take(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="colon"):
        SnapshotStore(tmp_path / "with:colon")


def test_a_discarded_layer_is_gone_from_every_stack(store: SnapshotStore) -> None:
    add_layer(store, BASE, None, "a")
    add_layer(store, TOP, BASE, "b")
    assert len(store.layers(TOP)) == 2
    store.discard(TOP)
    with pytest.raises(NotFoundError, match=TOP):
        store.layers(TOP)
