"""The content store: a blob that exists is whole, and an interrupted one can go on."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from boxship.errors import ConflictError, InvalidArgumentError, NotFoundError
from boxship.model.digest import Digest, digest_of
from boxship.storage.content.store import ContentStore

HELLO = digest_of(b"hello")


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "content")


def partials(store: ContentStore) -> list[Path]:
    return list((store.path(HELLO).parents[2] / "ingest").iterdir())


def test_is_an_oci_image_layout(store: ContentStore) -> None:
    digest = store.write(b"hello")
    root = store.path(digest).parents[2]
    assert json.loads((root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads((root / "index.json").read_text())["manifests"] == []
    name = hashlib.sha256(b"hello").hexdigest()
    assert (root / "blobs" / "sha256" / name).read_bytes() == b"hello"


def test_write_and_read(store: ContentStore) -> None:
    digest = store.write(b"hello", HELLO)
    assert digest == HELLO
    assert store.has(HELLO)
    assert store.size(HELLO) == 5
    assert store.read(HELLO) == b"hello"
    with store.open(HELLO) as blob:
        assert blob.read(2) == b"he"
    assert list(store.walk()) == [(HELLO, 5)]
    assert store.usage() == (5, 1)
    assert store.write(b"hello") == HELLO


def test_absent_blob(store: ContentStore) -> None:
    assert not store.has(HELLO)
    assert not store.delete(HELLO)
    for call in (store.size, store.read, store.open):
        with pytest.raises(NotFoundError, match=HELLO):
            call(HELLO)


def test_a_digest_is_no_path(store: ContentStore) -> None:
    with pytest.raises(InvalidArgumentError):
        store.path(Digest("sha256:../../etc/passwd"))


def test_open_blob_survives_its_deletion(store: ContentStore) -> None:
    store.write(b"hello")
    with store.open(HELLO) as blob:
        assert store.delete(HELLO)
        assert blob.read() == b"hello"


def test_ingest_resumes_where_it_stopped(store: ContentStore) -> None:
    with store.ingest("layer", HELLO, 5) as ingest:
        ingest.write(b"hel")
    assert not store.has(HELLO)
    with store.ingest("layer", HELLO, 5) as ingest:
        assert ingest.offset == 3
        ingest.write(b"lo")
        assert ingest.commit() == HELLO
    assert store.read(HELLO) == b"hello"
    assert partials(store) == []


def test_ingest_starts_again_when_the_source_cannot_resume(store: ContentStore) -> None:
    with store.ingest("layer") as ingest:
        ingest.write(b"wrong")
    with store.ingest("layer") as ingest:
        ingest.reset()
        assert ingest.offset == 0
        ingest.write(b"hello")
        assert ingest.commit() == HELLO


def test_lying_digest_leaves_nothing(store: ContentStore) -> None:
    ingest = store.ingest("layer", HELLO)
    ingest.write(b"bye")
    with pytest.raises(InvalidArgumentError, match=f"{HELLO} does not match its digest"):
        ingest.commit()
    assert list(store.walk()) == []
    assert partials(store) == []
    with pytest.raises(InvalidArgumentError):
        store.write(b"bye", HELLO)
    assert partials(store) == []


@pytest.mark.parametrize("data", [b"hell", b""])
def test_wrong_size_leaves_nothing(store: ContentStore, data: bytes) -> None:
    ingest = store.ingest("layer", HELLO, 5)
    ingest.write(data)
    with pytest.raises(InvalidArgumentError, match="instead of 5"):
        ingest.commit()
    assert partials(store) == []


def test_more_than_announced_is_refused_at_once(store: ContentStore) -> None:
    with store.ingest("layer", HELLO, 3) as ingest, pytest.raises(InvalidArgumentError):
        ingest.write(b"hello")


def test_one_ingest_a_key(store: ContentStore) -> None:
    with store.ingest("layer"):
        with pytest.raises(ConflictError, match="layer"):
            store.ingest("layer")
        with store.ingest("another"):
            pass
    with store.ingest("layer"):
        pass


HOLD = """
import sys
from pathlib import Path
from boxship.storage.content.store import ContentStore
ingest = ContentStore(Path(sys.argv[1])).ingest("layer")
ingest.write(b"hel")
print("held", flush=True)
sys.stdin.read()
"""


def test_one_ingest_a_key_among_processes(store: ContentStore) -> None:
    command = [sys.executable, "-c", HOLD, str(store.path(HELLO).parents[2])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ConflictError):
            store.ingest("layer")
        other.kill()
    with store.ingest("layer") as ingest:
        assert ingest.offset == 3


def test_cleaning_spares_what_is_open(store: ContentStore) -> None:
    with store.ingest("old") as ingest:
        ingest.write(b"x")
    with store.ingest("open") as ingest:
        ingest.write(b"x")
        assert store.clean(3600) == 0
        assert store.clean(0) == 1
        assert ingest.write(b"y") == 1
    store.discard("open")
    store.discard("never")
    assert partials(store) == []
