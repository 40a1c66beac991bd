"""Save: images as one archive that is both a `docker save` archive and an OCI image layout.

Blobs go in as they are stored, so digests survive; both kinds of readers find the same files.
"""

import io
import tarfile
from collections.abc import Sequence
from typing import BinaryIO, cast

import msgspec

from boxship.errors import InvalidArgumentError
from boxship.image.context import Context
from boxship.image.documents import encode
from boxship.model.digest import Digest, hex_of
from boxship.model.image import MEDIA_OCI_INDEX, Descriptor, Image, Index
from boxship.model.reference import Reference, parse_reference

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_BUFFER = 1 << 20


class _Saved(msgspec.Struct, frozen=True, rename="pascal"):
    """One entry of Docker's manifest.json."""

    config: str
    repo_tags: tuple[str, ...] | None
    layers: tuple[str, ...]


def save(context: Context, names: Sequence[str], out: BinaryIO) -> tuple[Digest, ...]:
    """Write the images to a stream, see ImageService.save; returns their ids. Blocking."""
    chosen = _choose(context, names)
    with (
        context.leases.hold() as lease,
        tarfile.open(
            fileobj=cast("BinaryIO", _Whole(out)),
            mode="w|",
            bufsize=_BUFFER,
            format=tarfile.GNU_FORMAT,
        ) as tar,
    ):
        for image, _ in chosen.values():
            lease.add(*_blobs(image))
        _directories(tar)
        for digest in dict.fromkeys(b for image, _ in chosen.values() for b in _blobs(image)):
            with context.content.open(digest) as blob:
                _file(tar, _path(digest), context.content.size(digest), blob)
        for name, data in _documents(chosen).items():
            _document(tar, name, data)
    return tuple(chosen)


def _choose(context: Context, names: Sequence[str]) -> dict[Digest, tuple[Image, list[Reference]]]:
    """Images to save, each with the names to save it under."""
    if not names:
        raise InvalidArgumentError("no image named to save")
    chosen: dict[Digest, tuple[Image, list[Reference]]] = {}
    for name in names:
        for image, ref in _named(context, name):
            refs = chosen.setdefault(image.id, (image, []))[1]
            if ref is not None and ref not in refs:
                refs.append(ref)
    return chosen


def _named(context: Context, name: str) -> list[tuple[Image, Reference | None]]:
    """A bare repository means all its tags, as with Docker; an id is saved without a name."""
    try:
        ref = parse_reference(name)
    except InvalidArgumentError:
        return [(context.images.resolve(name), None)]
    if ref.tag is None and ref.digest is None:
        tags = context.images.tags_of(ref)
        found = [(context.images.find_reference(tag), tag) for tag in tags]
        if found:
            return [(image, tag) for image, tag in found if image is not None]
    image = context.images.resolve(name)
    by_id = context.images.is_id(name, image)
    return [(image, None if by_id or ref.digest else ref.with_default_tag())]


def _blobs(image: Image) -> list[Digest]:
    layers = [layer.digest for layer in image.manifest.layers]
    return [*layers, image.id, image.target.digest]


def _documents(chosen: dict[Digest, tuple[Image, list[Reference]]]) -> dict[str, bytes]:
    entries, saved = [], []
    for image, refs in chosen.values():
        saved.append(
            _Saved(
                _path(image.id),
                tuple(ref.familiar() for ref in refs) or None,
                tuple(_path(layer.digest) for layer in image.manifest.layers),
            )
        )
        entries += [_entry(image, ref) for ref in refs] or [_entry(image, None)]
    return {
        "index.json": encode(Index(2, tuple(entries), MEDIA_OCI_INDEX)),
        "manifest.json": msgspec.json.encode(saved),
        "oci-layout": _LAYOUT,
    }


def _entry(image: Image, ref: Reference | None) -> Descriptor:
    annotations = {}
    if ref is not None:
        annotations = {
            "io.containerd.image.name": str(ref),
            "org.opencontainers.image.ref.name": ref.tag or "",
        }
    return msgspec.structs.replace(image.target, annotations=annotations)


def _directories(tar: tarfile.TarFile) -> None:
    for name in ("blobs", "blobs/sha256"):
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(info)


def _document(tar: tarfile.TarFile, name: str, data: bytes) -> None:

    _file(tar, name, len(data), io.BytesIO(data))


def _file(tar: tarfile.TarFile, name: str, size: int, stream: BinaryIO) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    tar.addfile(info, stream)


def _path(digest: Digest) -> str:
    return f"blobs/sha256/{hex_of(digest)}"


class _Whole:
    """A file that writes all of what it is given: a raw pipe may take less."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            view = view[self._out.write(view) :]
        return len(data)
