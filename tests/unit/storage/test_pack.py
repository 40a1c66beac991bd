"""What is packed is what tarfile and GNU tar read, and equal trees give equal bytes."""

import gzip
import hashlib
import io
import os
import socket
import subprocess
import tarfile
from pathlib import Path

import pytest

from boxship.errors import ConflictError
from boxship.storage.diff import pack
from boxship.storage.diff.pack import Packed, write_layer, write_tree


def packed(tree: Path, **options: object) -> tuple[bytes, Packed]:
    out = io.BytesIO()
    result = write_tree(tree, out, **options)  # type: ignore[arg-type]
    return out.getvalue(), result


def names(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return opened.getnames()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "b").mkdir(parents=True)
    (tree / "b" / "file").write_bytes(b"data" * 1000)
    (tree / "a").symlink_to("b/file")
    (tree / "c").hardlink_to(tree / "b" / "file")
    os.mkfifo(tree / "pipe")
    return tree


def test_entries(tree: Path) -> None:
    (tree / "b" / "file").chmod(0o4711)
    os.utime(tree / "b" / "file", (7, 7))
    archive, result = packed(tree)
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        assert opened.getnames() == [".", "a", "b", "b/file", "c", "pipe"]
        file = opened.getmember("b/file")
        assert (file.mode, file.mtime, file.size) == (0o4711, 7, 4000)
        assert opened.extractfile("b/file").read() == b"data" * 1000  # type: ignore[union-attr]
        assert opened.getmember("a").linkname == "b/file"
        assert opened.getmember("c").islnk()
        assert opened.getmember("c").linkname == "b/file"
        assert opened.getmember("pipe").isfifo()
    assert result.entries == 6
    assert result.diff_id == result.digest == "sha256:" + hashlib.sha256(archive).hexdigest()
    assert result.size == len(archive)


def test_equal_trees_give_equal_bytes(tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", tree, copy], check=True)
    assert packed(tree) == packed(copy)
    os.utime(copy / "b" / "file", (9, 9))
    assert packed(tree) != packed(copy)


def test_clamped_times(tree: Path) -> None:
    out = io.BytesIO()
    write_layer(tree, out, compression="none", clamp=1000)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as opened:
        assert {member.mtime for member in opened} == {1000}


def test_compressed(tree: Path) -> None:
    plain, _ = packed(tree)
    archive, result = packed(tree, compression="gzip")
    assert gzip.decompress(archive) == plain
    assert result.diff_id == "sha256:" + hashlib.sha256(plain).hexdigest()
    assert result.digest == "sha256:" + hashlib.sha256(archive).hexdigest()


def test_named_root_and_single_file(tree: Path) -> None:
    assert names(packed(tree, name="app")[0])[:3] == ["app", "app/a", "app/b"]
    assert names(packed(tree / "b" / "file", name="file")[0]) == ["file"]
    assert names(packed(tree / "a", name="a")[0]) == ["a"]


def test_what_ustar_cannot_hold(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    deep = tree / ("d" * 80) / ("e" * 80)
    deep.mkdir(parents=True)
    (deep / "f\xe4").write_text("x")
    (deep / "link").symlink_to("t" * 150)
    archive, _ = packed(tree)
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        assert f"{'d' * 80}/{'e' * 80}/f\xe4" in opened.getnames()
        assert opened.getmember(f"{'d' * 80}/{'e' * 80}/link").linkname == "t" * 150


def test_large_holes_stay_holes(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with (tree / "disk").open("wb") as out:
        out.write(b"start")
        out.seek(50_000_000)
        out.write(b"middle")
        out.truncate(100_000_000)
    archive, _ = packed(tree)
    assert len(archive) < 100_000
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    subprocess.run(["tar", "-xC", unpacked], input=archive, check=True)
    assert subprocess.run(["cmp", tree / "disk", unpacked / "disk"], check=False).returncode == 0


def test_a_file_that_shrinks_is_told(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "log").write_bytes(bytes(3 * pack._CHUNK))

    class Shrinking(io.BytesIO):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            os.truncate(tree / "log", 0)
            return len(data)

    with pytest.raises(ConflictError, match="'log' became shorter"):
        write_tree(tree, Shrinking())


def test_sockets_are_left_out(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree / "sock"))
        assert names(packed(tree)[0]) == ["."]
