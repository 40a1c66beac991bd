import json

import pytest

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.image.documents import (
    chain_ids,
    check_layers,
    decode_config,
    decode_index,
    decode_manifest,
    encode,
)
from boxship.model.digest import chain_id, digest_of
from boxship.model.image import MEDIA_DOCKER_CONFIG, Descriptor, ImageConfig, Manifest, RootFs

DOCKER = {
    "architecture": "amd64",
    "config": {
        "Hostname": "",
        "Domainname": "",
        "User": "web",
        "AttachStdin": False,
        "ExposedPorts": {"80/tcp": {}},
        "Env": ["A=b"],
        "Cmd": None,
        "Image": "sha256:00",
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": ["/run"],
        "OnBuild": None,
        "Labels": {"a": "b"},
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5_000_000_000},
    },
    "container": "abc",
    "container_config": {"Cmd": None},
    "created": "2024-01-02T03:04:05Z",
    "docker_version": "20.10",
    "history": [{"created": "2024-01-02T03:04:05Z", "created_by": "x", "empty_layer": True}],
    "os": "linux",
    "rootfs": {"type": "layers", "diff_ids": [digest_of(b"1"), digest_of(b"2")]},
    "variant": None,
}


def config(**changes: object) -> bytes:
    return json.dumps({**DOCKER, **changes}).encode()


def test_docker_config_with_nulls() -> None:
    found = decode_config(config(), "a")
    assert found.config.cmd is None
    assert found.config.entrypoint == ("/run",)
    assert found.config.on_build == ()
    assert found.config.volumes == {}
    assert found.config.exposed_ports == {"80/tcp": {}}
    assert found.config.healthcheck is not None
    assert found.config.healthcheck.interval == 5_000_000_000
    assert found.history[0].empty_layer
    assert chain_ids(found)[-1] == chain_id(found.rootfs.diff_ids)


def test_config_without_config_and_history() -> None:
    found = decode_config(config(config=None, history=None, os=None), "a")
    assert (found.os, found.history, found.config.env) == ("linux", (), ())


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", config(rootfs=None), config(config={"Env": "A=b"})]
)
def test_damaged_config(data: bytes) -> None:
    with pytest.raises(InvalidArgumentError, match="config of image a cannot be read"):
        decode_config(data, "a")


def test_manifest_of_something_else() -> None:
    artifact = Manifest(2, Descriptor("application/x", digest_of(b""), 0), ())
    with pytest.raises(UnsupportedError, match="a is not a container image: its config is of type"):
        decode_manifest(encode(artifact), "a")
    image = Manifest(2, Descriptor(MEDIA_DOCKER_CONFIG, digest_of(b""), 0), ())
    assert decode_manifest(encode(image), "a") == image


def test_damaged_manifest_and_index() -> None:
    with pytest.raises(InvalidArgumentError, match="manifest a cannot be read"):
        decode_manifest(b'{"schemaVersion": 2}', "a")
    with pytest.raises(InvalidArgumentError, match="image index a cannot be read"):
        decode_index(b'{"schemaVersion": 2, "manifests": [{}]}', "a")


def test_layers_that_do_not_match() -> None:
    manifest = Manifest(2, Descriptor(MEDIA_DOCKER_CONFIG, digest_of(b""), 0), ())
    with pytest.raises(InvalidArgumentError, match="lists 0 layers, its config 1"):
        check_layers(
            manifest, ImageConfig("amd64", "linux", RootFs("layers", (digest_of(b""),))), "a"
        )
