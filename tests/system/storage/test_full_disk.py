"""A disk that is full: one clear error, and nothing left of what was begun."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxship.errors import ExhaustedError
from boxship.model.digest import digest_of
from boxship.storage.content.store import ContentStore
from boxship.storage.diff.pack import write_layer
from boxship.storage.diff.unpack import apply_layer
from boxship.storage.records.database import Database
from boxship.storage.records.records import Records
from boxship.storage.snapshots.store import SnapshotStore

pytestmark = pytest.mark.root

NAME = digest_of(b"layer")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB and few inodes."""
    disk = tmp_path / "small"
    disk.mkdir()
    options = "size=2m,nr_inodes=40"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill(disk: Path) -> Path:
    """Take all of the space."""
    with (disk / "ballast").open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError:
            return disk / "ballast"


def test_content(small: Path) -> None:
    store = ContentStore(small / "content")
    with store.ingest("big") as ingest, pytest.raises(ExhaustedError, match="content big"):
        ingest.write(bytes(3_000_000))
    store.discard("big")
    fill(small)
    with pytest.raises(ExhaustedError, match="prune"):
        store.write(b"small document" * 1000)
    assert list(store.walk()) == []
    assert list((small / "content" / "ingest").iterdir()) == []


def test_a_layer(small: Path, archive, member) -> None:
    store = SnapshotStore(small / "snapshots")
    stream = archive(member("file", b"x" * 3_000_000))
    with store.stage(NAME, None) as stage, pytest.raises(ExhaustedError, match="'file'"):
        apply_layer(stream, stage.path)
    store.close()
    assert list(store.walk()) == []
    assert list((small / "snapshots" / "staging").iterdir()) == []


def test_an_active_snapshot(small: Path) -> None:
    store = SnapshotStore(small / "snapshots")

    def prepare_many() -> None:
        for number in range(100):
            store.prepare(f"box{number}", None)

    with pytest.raises(ExhaustedError, match="snapshot box"):
        prepare_many()
    made = len(list(store.active()))
    store.close()
    assert 0 < made < 20
    assert list((small / "snapshots" / "staging").iterdir()) == []
    # Removing needs no space.
    for key in list(store.active()):
        assert store.remove(key)
    store.close()
    store.prepare("again", None)


def test_a_record(small: Path) -> None:
    database = Database(small / "db")
    records = Records(database, "containers")
    records.insert("a", "a", b"{}")
    ballast = fill(small)
    with pytest.raises(ExhaustedError, match="a record in"):
        records.insert("b", "b", b"x" * 100_000)
    assert records.by_name("b") is None
    ballast.unlink()
    records.insert("b", "b", b"{}")
    assert len(records) == 2
    database.close()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_packing(small: Path, tmp_path: Path, compression) -> None:
    """The compressing thread's failure reaches the caller, and the thread ends."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(20):
        (tree / f"f{number}").write_bytes(NAME.encode() * 10_000)
    store = ContentStore(small / "content")
    fill(small)
    with store.ingest("layer") as ingest:
        with pytest.raises(ExhaustedError):
            write_layer(tree, ingest, compression=compression)
        ingest.abort()
