"""Image documents from their bytes: manifest, index, config (OCI 1.1, Docker schema 2)."""

from typing import Any, TypeVar

import msgspec

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.model.digest import digest_of
from boxship.model.image import (
    MEDIA_DOCKER_CONFIG,
    MEDIA_DOCKER_LIST,
    MEDIA_OCI_CONFIG,
    MEDIA_OCI_INDEX,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
)

_T = TypeVar("_T")
_CONFIGS = (MEDIA_OCI_CONFIG, MEDIA_DOCKER_CONFIG)


def is_index(media_type: str) -> bool:
    return media_type in (MEDIA_OCI_INDEX, MEDIA_DOCKER_LIST)


def decode_index(data: bytes, name: str) -> Index:
    """Read an index or manifest list; `name` is what an error calls it.

    Raises:
        InvalidArgumentError: it is none.
    """
    return _decode(data, Index, f"image index {name}")


def decode_manifest(data: bytes, name: str) -> Manifest:
    """Read the manifest of an image.

    Raises:
        InvalidArgumentError: it is none.
        UnsupportedError: it describes something else than an image.
    """
    manifest = _decode(data, Manifest, f"manifest {name}")
    if manifest.config.media_type not in _CONFIGS:
        raise UnsupportedError(
            f"{name} is not a container image: its config is of type {manifest.config.media_type}"
        )
    return manifest


def decode_config(data: bytes, name: str) -> ImageConfig:
    """Read an image config.

    Docker writes null where a list or an object belongs, and its first versions left the
    operating system out.

    Raises:
        InvalidArgumentError: it is none.
    """
    what = f"config of image {name}"
    plain = _plain(data, what)
    if isinstance(plain, dict):
        plain = {"os": "linux", "architecture": "", **plain}
    return _convert(plain, ImageConfig, what)


def check_layers(manifest: Manifest, config: ImageConfig, name: str) -> None:
    """Check that manifest and config speak of the same layers.

    Raises:
        InvalidArgumentError: they do not.
    """
    layers, diff_ids = len(manifest.layers), len(config.rootfs.diff_ids)
    if layers != diff_ids:
        raise InvalidArgumentError(
            f"image {name} is damaged: its manifest lists {layers} layers, its config {diff_ids}"
        )


def chain_ids(config: ImageConfig) -> tuple[str, ...]:
    """The chain ids of an image's stack, from the base up: names of its snapshots."""
    diff_ids = config.rootfs.diff_ids
    chains: list[str] = []
    for diff_id in diff_ids:
        chains.append(digest_of(f"{chains[-1]} {diff_id}".encode()) if chains else diff_id)
    return tuple(chains)


def encode(document: ImageConfig | Manifest | Index | Descriptor) -> bytes:
    return msgspec.json.encode(document)


def _decode(data: bytes, kind: type[_T], what: str) -> _T:
    return _convert(_plain(data, what), kind, what)


def _plain(data: bytes, what: str) -> Any:
    try:
        return _without_nulls(msgspec.json.decode(data))
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArgumentError(f"{what} cannot be read: {error}") from error


def _convert(plain: Any, kind: type[_T], what: str) -> _T:
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        raise InvalidArgumentError(f"{what} cannot be read: {error}") from error


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value
