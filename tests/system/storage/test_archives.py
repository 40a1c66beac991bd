"""Plain archives, for ADD, build contexts and cp: no whiteouts, and directories are joined."""

import bz2
import gzip
import lzma
import os
import stat
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import zstandard

from boxship.errors import InvalidArgumentError
from boxship.storage.diff.unpack import unpack_archive

pytestmark = pytest.mark.root


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.mark.parametrize(
    "compress", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.compress]
)
def test_compressions(root, archive, member, compress: Callable[[bytes], bytes]) -> None:
    data = archive(member("a/b", b"data")).getvalue()
    unpack_archive(BytesIO(compress(data)), root, destination="deep/down")
    assert (root / "deep/down/a/b").read_bytes() == b"data"


def test_whiteouts_are_names_like_others(root, archive, member) -> None:
    unpack_archive(archive(member(".wh.a", b"x"), member(".wh..wh..opq", b"")), root)
    assert names_in(root) == [".wh..wh..opq", ".wh.a"]


def test_owner(root, archive, member) -> None:
    members = [
        member("d", type=tarfile.DIRTYPE, uid=5, gid=6, mode=0o755),
        member("d/f", b"x", uid=5, gid=6, mode=0o4755),
        member("l", type=tarfile.SYMTYPE, linkname="x", uid=5),
        member("new/f", b"x"),
    ]
    unpack_archive(archive(*members), root, owner=(70, 80))
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in root.rglob("*")}
    assert owners == {(70, 80)}
    assert stat.S_IMODE((root / "d/f").stat().st_mode) == 0o4755
    other = root / "as-archived"
    other.mkdir()
    unpack_archive(archive(*members), other)
    assert (other / "d/f").stat().st_uid == 5


def test_set_gid_directories_leave_the_archives_group(root, archive, member) -> None:
    shared = root / "shared"
    shared.mkdir()
    os.chown(shared, 0, 50)
    shared.chmod(0o2775)
    unpack_archive(archive(member("f", b"x")), root, destination="shared")
    assert (shared / "f").stat().st_gid == 0
    assert stat.S_IMODE(shared.stat().st_mode) == 0o2775


def test_what_is_there_is_joined_or_replaced(root, archive, member) -> None:
    (root / "d").mkdir()
    (root / "d/kept").write_text("kept")
    (root / "file").write_text("old")
    unpack_archive(
        archive(member("d", type=tarfile.DIRTYPE), member("file", b"new"), member("d/x", b"x")),
        root,
    )
    assert names_in(root / "d") == ["kept", "x"]
    assert (root / "file").read_text() == "new"


def test_kinds_can_be_kept(root, archive, member) -> None:
    (root / "d").mkdir()
    (root / "f").write_text("f")
    with pytest.raises(InvalidArgumentError, match="'d' would replace a directory"):
        unpack_archive(archive(member("d", b"x")), root, keep_kinds=True)
    with pytest.raises(InvalidArgumentError, match="'f' would replace a file"):
        unpack_archive(archive(member("f", type=tarfile.DIRTYPE)), root, keep_kinds=True)


def test_devices_are_refused_unless_wanted(root, archive, member) -> None:
    null = member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)
    with pytest.raises(InvalidArgumentError, match="'null' is a device node"):
        unpack_archive(archive(null), root)
    unpack_archive(archive(null), root, devices=True)
    assert (root / "null").is_char_device()


def test_links_resolve_inside_the_root(root, archive, member) -> None:
    """The destination is below the root, and an image's absolute links mean the image's root."""
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "real").mkdir()
    (root / "app").mkdir()
    (root / "app/link").symlink_to("/real")
    (root / "app/out").symlink_to(outside)
    (root / "dest").symlink_to("/app")
    unpack_archive(archive(member("link/f", b"x")), root, destination="dest")
    assert (root / "real/f").read_bytes() == b"x"
    unpack_archive(archive(member("out/f", b"x")), root, destination="dest")
    assert names_in(outside) == []
    with pytest.raises(InvalidArgumentError, match="leads out"):
        unpack_archive(archive(member("../f", b"x")), root, destination="dest")
