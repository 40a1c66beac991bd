"""Images through archives: our own, Docker's of old, OCI layouts, and damaged ones."""

import bz2
import gzip
import io
import json
import lzma
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from boxship.errors import InvalidArgumentError, NotFoundError, UnsupportedError
from boxship.image import Import
from boxship.model.digest import digest_of
from boxship.model.image import ImageRunConfig
from boxship.model.platform import host_platform
from boxship.model.reference import parse_reference

pytestmark = pytest.mark.root
FILES = {"etc/motd": b"hello\n", "data": bytes(range(256)) * 500}
SQUEEZE: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


def archive(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return out.getvalue()


def old_docker_archive(**changes: Any) -> bytes:
    """What `docker save` wrote before version 25: a directory a layer, equal layers linked."""
    layer = archive(FILES)
    config = {
        "os": "linux",
        "architecture": host_platform().architecture,
        "config": {"Cmd": ["sh"], "OnBuild": None},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)] * 2},
        **changes,
    }
    data = json.dumps(config).encode()
    name = digest_of(data).partition(":")[2]
    listing = [
        {
            "Config": f"{name}.json",
            "RepoTags": ["old:1", "old:2"],
            "Layers": ["aa/layer.tar", "bb/layer.tar"],
        }
    ]
    return archive(
        {
            "aa/layer.tar": layer,
            "aa/VERSION": b"1.0",
            f"{name}.json": data,
            "manifest.json": json.dumps(listing).encode(),
        },
        {"bb/layer.tar": "../aa/layer.tar"},
    )


@pytest.mark.parametrize("kind", SQUEEZE)
def test_save_and_load(one: Any, two: Any, kind: str) -> None:
    made = one.image("app:1", FILES, cmd=("true",))
    one.images.tag("app:1", "app:2")
    (loaded,) = two.load(SQUEEZE[kind](one.save("app")))
    assert (loaded.id, loaded.target.digest) == (made.id, made.target.digest)
    assert loaded.tags == ("app:1", "app:2")
    assert [p.stream for p in two.progress] == ["Loaded image: app:1\n", "Loaded image: app:2\n"]
    assert two.leftovers() == one.leftovers()


def test_save_by_id_has_no_name(one: Any, two: Any) -> None:
    made = one.image("app:1", FILES)
    (loaded,) = two.load(one.save(made.id))
    assert loaded.tags == ()
    assert [p.stream for p in two.progress] == [f"Loaded image ID: {made.id}\n"]


def test_save_of_several_images(one: Any, two: Any) -> None:
    one.image("app:1", FILES)
    one.image("app:2", {"other": b"x"})
    data = one.save("app:1", "app:2")
    assert sorted(image.tags for image in two.load(data)) == [("app:1",), ("app:2",)]
    assert data == one.save("app:1", "app:2")


def test_save_of_an_unknown_image(one: Any) -> None:
    out = io.BytesIO()
    with pytest.raises(NotFoundError, match=r"^No such image: none:latest$"):
        one.run(one.images.save(["none"], out))
    assert out.getvalue() == b""


def test_load_moves_names(one: Any, two: Any) -> None:
    old = one.image("app:1", FILES)
    two.image("app:1", {"other": b"x"})
    one.load(two.save("app:1"))
    assert one.progress[0].stream == (
        f"The image app:1 already exists, renaming the old one with ID {old.id} to empty string\n"
    )
    assert one.images.resolve(old.id).tags == ()


def test_old_docker_archive(one: Any) -> None:
    (loaded,) = one.load(old_docker_archive())
    assert loaded.tags == ("old:1", "old:2")
    assert loaded.config.config.cmd == ("sh",)
    chain = one.run(one.images.ensure_unpacked(loaded))
    assert len(one.snapshots.layers(chain)) == 2
    assert (one.snapshots.layers(chain)[0] / "etc/motd").read_bytes() == b"hello\n"


def test_skopeo_reads_what_we_save(one: Any, two: Any, tmp_path: Path) -> None:
    made = one.image("app:1", FILES)
    saved = tmp_path / "saved.tar"
    saved.write_bytes(one.save("app:1"))
    for source in ("docker-archive", "oci-archive"):
        subprocess.run(
            ["skopeo", "copy", "-q", f"{source}:{saved}", f"oci:{tmp_path / source}:app:1"],
            check=True,
        )
        (loaded,) = two.load(_tar_of(tmp_path / source))
        # From a Docker archive skopeo writes the config anew.
        assert loaded.config.rootfs == made.config.rootfs
        assert loaded.id == made.id or source == "docker-archive"


def test_skopeos_docker_archive(one: Any, two: Any, tmp_path: Path) -> None:
    made = one.image("app:1", FILES)
    (tmp_path / "a.tar").write_bytes(one.save("app:1"))
    copy = ["skopeo", "copy", "-q", f"oci-archive:{tmp_path}/a.tar"]
    subprocess.run([*copy, f"docker-archive:{tmp_path}/b.tar:app:9"], check=True)
    (loaded,) = two.load((tmp_path / "b.tar").read_bytes())
    assert loaded.tags == ("app:9",)
    assert loaded.config.rootfs == made.config.rootfs


def _tar_of(folder: Path) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.add(folder, ".")
    return out.getvalue()


@pytest.mark.parametrize("keep", [0, 100, 1000, 20_000])
def test_truncated_archive(one: Any, keep: int) -> None:
    with pytest.raises(InvalidArgumentError, match="image archive"):
        one.load(old_docker_archive()[:keep])
    one.run(one.images.collect())
    assert one.leftovers() == ([], [])


def test_truncated_compressed_archive(one: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="truncated or damaged"):
        one.load(gzip.compress(old_docker_archive())[:-400])


def test_no_archive_at_all(one: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="image archive is truncated or damaged"):
        one.load(b"this is not an archive" * 100)


def test_archive_of_something_else(one: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="image archive holds no image"):
        one.load(archive(FILES))


def test_archive_that_lacks_a_layer(one: Any) -> None:
    listing = json.dumps([{"Config": "c.json", "Layers": ["x/layer.tar"]}]).encode()
    with pytest.raises(InvalidArgumentError, match=r"it does not hold x/layer\.tar"):
        one.load(archive({"c.json": b"{}", "manifest.json": listing}))


def test_layer_that_is_not_what_the_config_says(one: Any) -> None:
    wrong = digest_of(b"wrong")
    data = old_docker_archive(rootfs={"type": "layers", "diff_ids": [wrong, wrong]})
    with pytest.raises(InvalidArgumentError, match=f"layer {wrong} does not match its diff id"):
        one.load(data)
    one.run(one.images.collect())
    assert one.leftovers() == ([], [])
    assert one.images.list() == ()


def test_blob_that_is_not_what_its_name_says(one: Any, two: Any) -> None:
    data = bytearray(one.save(one.image("app:1", FILES).id))
    # Two directories and the header of the first blob come before.
    data[3 * 512 + 20] ^= 1
    with pytest.raises(InvalidArgumentError, match="does not match its digest"):
        two.load(bytes(data))


def test_windows_image(one: Any) -> None:
    with pytest.raises(UnsupportedError, match='operating system "windows" is not supported'):
        one.load(old_docker_archive(os="windows"))


@pytest.mark.parametrize("kind", SQUEEZE)
def test_import(one: Any, kind: str) -> None:
    stream = io.BytesIO(SQUEEZE[kind](archive(FILES)))
    wanted = Import(
        (parse_reference("made:1"),), ImageRunConfig(cmd=("sh",)), "from a tar", "import"
    )
    image = one.run(one.images.import_(stream, wanted))
    assert image.tags == ("made:1",)
    assert image.config.rootfs.diff_ids == (digest_of(archive(FILES)),)
    (step,) = one.images.history("made:1")
    assert (step.history.comment, step.id, step.tags) == ("from a tar", image.id, ("made:1",))
    assert step.size == len(archive(FILES))


def test_import_of_garbage(one: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        one.run(one.images.import_(io.BytesIO(b"garbage" * 1000), Import()))
    one.run(one.images.collect())
    assert one.leftovers() == ([], [])
