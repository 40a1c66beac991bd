import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxship.errors import (
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    UnsupportedError,
)
from boxship.storage.records.database import Database
from boxship.volume import VolumeService

pytestmark = [pytest.mark.root]
_FILE_CAPABILITY = bytes.fromhex("0100000202000000000000000000000000000000")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[VolumeService]:
    database = Database(tmp_path / "boxship.db")
    made = VolumeService(database, tmp_path / "volumes", clock=lambda: 42)
    made.start()
    yield made
    made.close()
    database.close()


def _names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_a_named_volume_is_made_once(service: VolumeService) -> None:
    volume = service.create("data", labels={"a": "b"})
    assert service.create("data") == volume == service.get("data")
    assert Path(volume.mountpoint).is_dir()
    assert (volume.labels, volume.created, volume.anonymous) == ({"a": "b"}, 42, False)
    assert service.list() == [volume]


def test_an_anonymous_volume_has_a_long_name(service: VolumeService) -> None:
    volume = service.create()
    assert len(volume.name) == 64
    assert volume.anonymous


def test_errors_are_in_dockers_words(service: VolumeService) -> None:
    with pytest.raises(NotFoundError, match=r"^get nope: no such volume"):
        service.get("nope")
    with pytest.raises(InvalidArgumentError, match="names should be at least two"):
        service.create("x")
    with pytest.raises(InvalidArgumentError, match="includes invalid characters for a local"):
        service.create("../up")
    with pytest.raises(NotFoundError, match='plugin "foo" not found'):
        service.create("data", driver="foo")
    with pytest.raises(InvalidArgumentError, match='invalid option: "foo"'):
        service.create("data", options={"foo": "bar"})
    with pytest.raises(UnsupportedError, match='volume type "nfs" is not supported'):
        service.create("data", options={"type": "nfs", "device": ":/x", "o": "addr=h"})
    service.create("data")
    with pytest.raises(ConflictError) as used:
        service.remove("data", ["c1", "c2"])
    assert used.value.message == "remove data: volume is in use - [c1, c2]"


def test_a_removed_volume_is_gone(service: VolumeService) -> None:
    volume = service.create("data")
    Path(volume.mountpoint, "file").write_text("x")
    service.remove("data")
    assert not Path(volume.mountpoint).exists()
    assert service.list() == []
    assert service.remove("data", force=True) is None
    with pytest.raises(NotFoundError):
        service.remove("data")


def test_prune_spares_named_and_used_volumes(service: VolumeService) -> None:
    kept, used, doomed = service.create("kept"), service.create(), service.create()
    Path(doomed.mountpoint, "file").write_bytes(b"x" * 5000)
    removed, space = service.prune([used.name])
    assert removed == [doomed]
    assert space >= 5000
    assert {volume.name for volume in service.list()} == {kept.name, used.name}
    assert service.prune([], lambda _: True)[0] != []
    assert service.list() == []


def test_a_bind_volume_leads_to_its_directory(service: VolumeService, tmp_path: Path) -> None:
    there = tmp_path / "there"
    service.create("data", options={"type": "none", "o": "bind", "device": str(there)})
    with pytest.raises(NotFoundError, match="no such file or directory"):
        service.acquire("data", "c1")
    there.mkdir()
    assert service.acquire("data", "c1") == there
    service.release("data", "c1")
    service.remove("data")
    assert there.is_dir()


def test_a_tmpfs_volume_lives_while_it_is_used(service: VolumeService) -> None:
    service.create("data", options={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"})
    source = service.acquire("data", "c1")
    assert service.acquire("data", "c2") == source
    (source / "file").write_text("x")
    assert source.is_mount()
    service.release("data", "c1")
    assert (source / "file").exists()
    with pytest.raises(ConflictError):
        service.remove("data")
    service.release("data", "c2")
    assert not source.is_mount()
    assert _names(source) == []


def _image(tmp_path: Path) -> tuple[Path, Path]:
    """Two layers; the upper one changes `sub/changed` and removes `gone`."""
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    data = lower / "srv/data"
    (data / "sub").mkdir(parents=True)
    (data / "sub").chmod(0o1777)
    (data / "gone").write_text("old")
    (data / "sub/changed").write_text("old")
    (data / "tool").write_text("tool")
    os.chown(data / "tool", 1000, 1001)
    (data / "tool").chmod(0o4755)
    os.setxattr(data / "tool", "user.note", b"n")
    os.setxattr(data / "tool", "security.capability", _FILE_CAPABILITY)
    os.utime(data / "tool", ns=(1_000_000_000, 2_000_000_000))
    os.link(data / "tool", data / "sub/same")
    (data / "link").symlink_to("/etc/passwd")
    os.mkfifo(data / "pipe")
    os.mknod(data / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (upper / "srv/data/sub").mkdir(parents=True)
    (upper / "srv/data/sub").chmod(0o1777)
    (upper / "srv/data/sub/changed").write_text("new")
    os.mknod(upper / "srv/data/gone", stat.S_IFCHR, 0)
    os.chown(upper / "srv/data", 7, 8)
    (upper / "srv/data").chmod(0o750)
    return upper, lower


@pytest.mark.overlayfs
def test_an_empty_volume_is_filled_from_the_image(service: VolumeService, tmp_path: Path) -> None:
    target = Path(service.create("data").mountpoint)
    mounts = Path("/proc/self/mounts").read_text()
    assert asyncio.run(service.populate("data", _image(tmp_path), "/srv/data"))
    assert Path("/proc/self/mounts").read_text() == mounts
    assert _names(target) == ["link", "null", "pipe", "sub", "tool"]
    own = target.stat()
    assert (own.st_uid, own.st_gid, stat.S_IMODE(own.st_mode)) == (7, 8, 0o750)
    assert stat.S_IMODE((target / "sub").stat().st_mode) == 0o1777
    assert (target / "sub/changed").read_text() == "new"
    tool = (target / "tool").stat()
    assert (tool.st_uid, tool.st_gid, stat.S_IMODE(tool.st_mode)) == (1000, 1001, 0o4755)
    assert tool.st_mtime_ns == 2_000_000_000
    assert (target / "sub/same").stat().st_ino == tool.st_ino
    assert os.getxattr(target / "tool", "user.note") == b"n"
    assert os.getxattr(target / "tool", "security.capability") == _FILE_CAPABILITY
    assert (target / "link").readlink() == Path("/etc/passwd")
    assert stat.S_ISFIFO((target / "pipe").stat().st_mode)
    assert (target / "null").stat().st_rdev == os.makedev(1, 3)


def test_a_volume_with_content_is_left_alone(service: VolumeService, tmp_path: Path) -> None:
    target = Path(service.create("data").mountpoint)
    (target / "mine").write_text("x")
    assert not asyncio.run(service.populate("data", _image(tmp_path), "/srv/data"))
    assert _names(target) == ["mine"]


def test_an_interrupted_copy_is_begun_again(service: VolumeService, tmp_path: Path) -> None:
    target = Path(service.create("data").mountpoint)
    (target / "half").write_text("x")
    (target.parent / "_unfinished").touch()
    assert asyncio.run(service.populate("data", _image(tmp_path), "/srv/data"))
    assert "half" not in _names(target)
    assert _names(target.parent) == ["_data"]


def test_links_of_the_image_do_not_lead_to_the_host(service: VolumeService, tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    (layer / "etc").mkdir(parents=True)
    (layer / "etc/marker").write_text("of the image")
    (layer / "absolute").symlink_to("/etc")
    (layer / "dotted").symlink_to("../../../../../../etc")
    for name in ("absolute", "dotted"):
        target = Path(service.create(name).mountpoint)
        assert asyncio.run(service.populate(name, [layer], name))
        assert _names(target) == ["marker"]
    target = Path(service.create("nothing").mountpoint)
    assert not asyncio.run(service.populate("nothing", [layer], "/nowhere"))
    assert _names(target) == []


def test_what_an_upper_layer_hides_is_not_copied(service: VolumeService, tmp_path: Path) -> None:
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    (lower / "data/replaced").mkdir(parents=True)
    (lower / "data/replaced/secret").write_text("deleted from the image")
    (upper / "data/replaced").mkdir(parents=True)
    (upper / "data/replaced/new").touch()
    os.setxattr(upper / "data/replaced", "user.overlay.opaque", b"y")
    volume = service.create("opaque")
    assert asyncio.run(service.populate("opaque", [upper, lower], "/data"))
    copy = Path(volume.mountpoint) / "replaced"
    assert _names(copy) == ["new"]
    assert os.listxattr(copy) == []


def test_marks_of_the_overlay_stay_behind(service: VolumeService, tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    (layer / "data/directory").mkdir(parents=True)
    os.setxattr(layer / "data/directory", "user.overlay.opaque", b"y")
    os.mknod(layer / "data/gone", stat.S_IFCHR)
    volume = service.create("single")
    assert asyncio.run(service.populate("single", [layer], "/data"))
    assert _names(Path(volume.mountpoint)) == ["directory"]
    assert os.listxattr(Path(volume.mountpoint) / "directory") == []
