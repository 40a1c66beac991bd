"""Images through Debian's registry: pushed by one host, pulled by another."""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxship.errors import InvalidArgumentError, NotFoundError, UnavailableError, UnsupportedError
from boxship.image.progress import short
from boxship.model.digest import digest_of
from boxship.model.image import (
    MEDIA_DOCKER_CONFIG,
    MEDIA_DOCKER_LAYER_GZIP,
    MEDIA_DOCKER_LIST,
    MEDIA_DOCKER_MANIFEST,
    MEDIA_OCI_CONFIG,
    MEDIA_OCI_INDEX,
    MEDIA_OCI_LAYER,
    MEDIA_OCI_MANIFEST,
)
from boxship.model.platform import host_platform, parse_platform

pytestmark = pytest.mark.root
Start = Callable[..., str]
FILES = {"etc/motd": b"hello\n", "data": bytes(range(256)) * 500}


def test_push_and_pull(one: Any, two: Any, debian_registry: Start) -> None:
    name = f"{debian_registry()}/team/app:1"
    made = one.image(name, FILES, cmd=("true",))
    one.push(name)
    layer = short(made.manifest.layers[0].digest)
    digest, size = made.target.digest, made.target.size
    assert one.lines() == [
        (f"The push refers to repository [{name.removesuffix(':1')}]", ""),
        ("Preparing", layer),
        ("Pushed", layer),
        (f"1: digest: {digest} size: {size}", ""),
    ]
    assert one.progress[-1].aux == {"Tag": "1", "Digest": digest, "Size": size}
    assert one.images.resolve(name).repo_digests == (f"{name.removesuffix(':1')}@{digest}",)

    pulled = two.pull(name)
    assert (pulled.id, pulled.target.digest) == (made.id, digest)
    assert pulled.tags == (name,)
    assert pulled.repo_digests == (f"{name.removesuffix(':1')}@{digest}",)
    assert two.lines() == [
        ("Pulling from team/app", "1"),
        ("Pulling fs layer", layer),
        ("Download complete", layer),
        ("Pull complete", layer),
        (f"Digest: {digest}", ""),
        (f"Status: Downloaded newer image for {name}", ""),
    ]
    chain = two.run(two.images.ensure_unpacked(pulled))
    tree = two.snapshots.layers(chain)[0]
    assert (tree / "etc/motd").read_bytes() == b"hello\n"
    assert two.images.resolve(f"{name.removesuffix(':1')}@{digest}").id == made.id

    two.pull(name)
    assert two.lines()[-1] == (f"Status: Image is up to date for {name}", "")
    assert ("pull", name) in two.events


def test_push_sends_only_what_is_missing(one: Any, debian_registry: Start) -> None:
    host = debian_registry()
    one.image(f"{host}/app:1", FILES)
    one.push(f"{host}/app:1")
    one.push(f"{host}/app:1")
    assert "Layer already exists" in [status for status, _ in one.lines()]
    one.images.tag(f"{host}/app:1", f"{host}/other:1")
    one.push(f"{host}/other:1")
    assert "Mounted from app" in [status for status, _ in one.lines()]


def test_push_of_all_tags(one: Any, two: Any, debian_registry: Start) -> None:
    host = debian_registry()
    one.image(f"{host}/app:1", FILES)
    one.images.tag(f"{host}/app:1", f"{host}/app:2")
    one.push(f"{host}/app")
    assert two.pull(f"{host}/app:2").id == one.images.resolve(f"{host}/app:1").id
    with pytest.raises(NotFoundError, match="does not exist locally with the tag: none"):
        one.push("none")
    with pytest.raises(NotFoundError, match="tag does not exist: none:1"):
        one.push("none:1")


def test_skopeo_agrees(one: Any, two: Any, debian_registry: Start, tmp_path: Path) -> None:
    """What skopeo copied over, in Docker's schema, is pulled with its digests intact."""
    host = debian_registry()
    one.image(f"{host}/app:1", FILES)
    one.push(f"{host}/app:1")
    subprocess.run(
        [
            *("skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false"),
            *("--format", "v2s2", f"docker://{host}/app:1", f"docker://{host}/copy:1"),
        ],
        check=True,
    )
    pulled = two.pull(f"{host}/copy:1")
    assert pulled.target.media_type == MEDIA_DOCKER_MANIFEST
    two.push(f"{host}/copy:1")
    assert pulled.target.digest in pulled.repo_digests[0]


class Served:
    """Documents and blobs for a scripted registry."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.asked: list[str] = []

    def __call__(self, request: Any) -> Any:
        kind, name = request.path.split("/")[-2:]
        self.asked.append(name)
        if kind == "manifests" and name in self.manifests:
            media_type, data = self.manifests[name]
            headers = {"Content-Type": media_type, "Docker-Content-Digest": digest_of(data)}
            return 200, headers, data
        if kind == "blobs" and name in self.blobs:
            return 200, {}, self.blobs[name]
        body = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
        return 404, {}, json.dumps(body).encode()

    def blob(self, data: bytes, media_type: str) -> dict[str, Any]:
        self.blobs[digest_of(data)] = data
        return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}

    def manifest(self, document: dict[str, Any], *names: str) -> dict[str, Any]:
        data = json.dumps(document).encode()
        for name in (*names, digest_of(data)):
            self.manifests[name] = (document["mediaType"], data)
        return {"mediaType": document["mediaType"], "digest": digest_of(data), "size": len(data)}

    def image(self, layer: bytes, *names: str, platform: str = "", **config: Any) -> Any:
        wanted = parse_platform(platform) if platform else host_platform()
        document = {
            "os": wanted.os,
            "architecture": wanted.architecture,
            "config": {"Cmd": None, "OnBuild": None, "Volumes": None, "Env": None},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
            "history": None,
            **config,
        }
        return self.manifest(
            {
                "schemaVersion": 2,
                "mediaType": MEDIA_OCI_MANIFEST,
                "config": self.blob(json.dumps(document).encode(), MEDIA_OCI_CONFIG),
                "layers": [self.blob(layer, MEDIA_OCI_LAYER)],
            },
            *names,
        )


@pytest.fixture
def served() -> Served:
    return Served()


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


LAYER = _tar(FILES)


@pytest.mark.parametrize("media_type", [MEDIA_OCI_INDEX, MEDIA_DOCKER_LIST])
def test_index_selects_this_platform(
    one: Any, scripted: Any, served: Served, media_type: str
) -> None:
    here = host_platform()
    mine = served.image(LAYER)
    other = served.image(LAYER, platform="linux/s390x")
    index = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [
            {**other, "platform": {"os": "linux", "architecture": "s390x"}},
            {**other, "platform": {"os": "unknown", "architecture": "unknown"}},
            {**mine, "platform": {"os": "linux", "architecture": here.architecture}},
        ],
    }
    found = served.manifest(index, "1")
    host = scripted(served).host
    pulled = one.pull(f"{host}/app:1")
    assert pulled.target.digest == mine["digest"]
    assert pulled.repo_digests == (f"{host}/app@{found['digest']}",)
    assert ("Digest: " + found["digest"], "") in one.lines()

    foreign = one.pull(f"{host}/app:1", platform=parse_platform("linux/s390x"))
    assert foreign.config.architecture == "s390x"
    with pytest.raises(NotFoundError) as caught:
        one.pull(f"{host}/app:1", platform=parse_platform("linux/riscv64"))
    assert caught.value.message == (
        "no matching manifest for linux/riscv64 in the manifest list entries"
    )
    assert caught.value.hint == f"it holds linux/{here.architecture}, linux/s390x"


def test_wrong_platform(one: Any, scripted: Any, served: Served) -> None:
    served.image(LAYER, "1", platform="linux/s390x")
    name = f"{scripted(served).host}/app:1"
    with pytest.raises(InvalidArgumentError) as caught:
        one.pull(name)
    assert caught.value.message == (
        f"image with reference {name} was found but its platform (linux/s390x) does not match"
        f" the specified platform ({host_platform()})"
    )
    one.run(one.images.collect())
    assert one.leftovers() == ([], [])
    assert one.pull(name, platform=parse_platform("linux/s390x")).config.architecture == "s390x"


def test_windows_image(one: Any, scripted: Any, served: Served) -> None:
    served.image(LAYER, "1", platform="windows/amd64")
    with pytest.raises(UnsupportedError, match='image operating system "windows" cannot be used'):
        one.pull(f"{scripted(served).host}/app:1")


def test_artifact_is_no_image(one: Any, scripted: Any, served: Served) -> None:
    served.manifest(
        {
            "schemaVersion": 2,
            "mediaType": MEDIA_OCI_MANIFEST,
            "config": served.blob(b"{}", "application/vnd.oci.empty.v1+json"),
            "layers": [],
        },
        "1",
    )
    with pytest.raises(UnsupportedError, match="is not a container image: its config is of type"):
        one.pull(f"{scripted(served).host}/app:1")


def test_lying_registry(one: Any, scripted: Any, served: Served) -> None:
    served.image(LAYER, "1")
    lie = bytearray(LAYER)
    lie[600] ^= 1
    digest = digest_of(LAYER)
    served.blobs[digest] = bytes(lie)
    host = scripted(served).host
    with pytest.raises(UnavailableError) as caught:
        one.pull(f"{host}/app:1")
    for word in (host, digest, digest_of(bytes(lie))):
        assert word in caught.value.message
    assert not one.content.has(digest)
    one.run(one.images.collect())
    assert one.leftovers() == ([], [])
    assert one.images.list() == ()

    served.blobs[digest] = LAYER
    assert one.pull(f"{host}/app:1").tags == (f"{host}/app:1",)


def test_layer_that_is_not_what_the_config_says(one: Any, scripted: Any, served: Served) -> None:
    other = digest_of(b"other")
    served.image(LAYER, "1", rootfs={"type": "layers", "diff_ids": [other]})
    with pytest.raises(InvalidArgumentError, match=f"layer {other} does not match its diff id"):
        one.pull(f"{scripted(served).host}/app:1")
    one.run(one.images.collect())
    assert one.leftovers() == ([], [])


def test_layer_that_leaves_its_root(
    one: Any, scripted: Any, served: Served, tmp_path: Path
) -> None:
    served.image(_tar({"../../../../../../../.." + str(tmp_path / "escaped"): b"x"}), "1")
    with pytest.raises(InvalidArgumentError, match="cannot unpack archive"):
        one.pull(f"{scripted(served).host}/app:1")
    assert not (tmp_path / "escaped").exists()
    one.run(one.images.collect())
    assert one.leftovers() == ([], [])


def test_manifest_and_config_disagree(one: Any, scripted: Any, served: Served) -> None:
    two_ids = [digest_of(LAYER), digest_of(b"x")]
    served.image(LAYER, "1", rootfs={"type": "layers", "diff_ids": two_ids})
    with pytest.raises(InvalidArgumentError, match="lists 1 layers, its config 2"):
        one.pull(f"{scripted(served).host}/app:1")


def test_many_layers_and_shared_ones(one: Any, scripted: Any, served: Served) -> None:
    layers = [_tar({f"file{n}": hashlib.sha256(b"%d" % n).digest() * 3000}) for n in range(6)]
    layers.append(layers[0])
    config = {
        "os": "linux",
        "architecture": host_platform().architecture,
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
    }
    served.manifest(
        {
            "schemaVersion": 2,
            "mediaType": MEDIA_DOCKER_MANIFEST,
            "config": served.blob(json.dumps(config).encode(), MEDIA_DOCKER_CONFIG),
            "layers": [served.blob(layer, MEDIA_DOCKER_LAYER_GZIP) for layer in layers],
        },
        "1",
    )
    host = scripted(served).host
    pulled = one.pull(f"{host}/app:1")
    chain = one.run(one.images.ensure_unpacked(pulled))
    assert len(one.snapshots.layers(chain)) == 7
    assert served.asked.count(digest_of(layers[0])) == 1
    assert [status for status, _ in one.lines()].count("Pull complete") == 7
    assert "Waiting" in [status for status, _ in one.lines()]


def test_registry_that_is_down(one: Any) -> None:
    with pytest.raises(UnavailableError, match=r"registry 127\.0\.0\.1:1 does not answer"):
        one.pull("127.0.0.1:1/app")
