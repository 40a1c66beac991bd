"""Load: images from an archive of `docker save` or of an OCI image layout.

The archive is read once, front to back, since it may come through a pipe: every file goes into
the content store under its digest, and the documents that tell what they are come when they come.
"""

import os
import posixpath
import tarfile
from typing import BinaryIO

import msgspec

from boxship.errors import BoxshipError, InvalidArgumentError, UnsupportedError
from boxship.image.archive import Opened, blocks, broken_archive
from boxship.image.context import Context
from boxship.image.documents import (
    check_layers,
    decode_config,
    decode_index,
    decode_manifest,
    encode,
    is_index,
)
from boxship.image.progress import Progress, Report, Reporter
from boxship.image.selection import Wanted, select
from boxship.image.store import ImageRecord
from boxship.image.unpack import ensure_layer, layers_of, sizes_of
from boxship.model.digest import Digest
from boxship.model.image import (
    MEDIA_OCI_CONFIG,
    MEDIA_OCI_LAYER,
    MEDIA_OCI_LAYER_GZIP,
    MEDIA_OCI_LAYER_ZSTD,
    MEDIA_OCI_MANIFEST,
    Descriptor,
    Image,
    Index,
    Manifest,
)
from boxship.model.platform import host_platform
from boxship.model.reference import Reference, parse_reference
from boxship.storage.gc import Lease

_WHAT = "image archive"
_MAX_DOCUMENT = 16 << 20
_DOCUMENTS = ("manifest.json", "index.json", "oci-layout")
_NAME = "io.containerd.image.name"
_REF_NAME = "org.opencontainers.image.ref.name"


class _Stored(msgspec.Struct, frozen=True):
    """A file of the archive, now a blob."""

    digest: Digest
    size: int
    magic: bytes


class _DockerImage(msgspec.Struct, frozen=True, rename="pascal"):
    """One entry of Docker's manifest.json."""

    config: str
    layers: tuple[str, ...] = ()
    repo_tags: tuple[str, ...] | None = None


class _Loaded(msgspec.Struct, frozen=True):
    """An image found in an archive, not yet unpacked."""

    target: Descriptor
    manifest: Manifest
    refs: tuple[Reference, ...]


class _Archive:
    """What was read so far."""

    def __init__(self) -> None:
        self.files: dict[str, _Stored] = {}
        self.links: dict[str, str] = {}
        self.documents: dict[str, bytes] = {}

    def file(self, name: str) -> _Stored:
        """A file by its name, also through links.

        Raises:
            InvalidArgumentError: the archive does not hold it.
        """
        seen = posixpath.normpath(name)
        for _ in range(8):
            if seen not in self.links:
                break
            seen = self.links[seen]
        if seen not in self.files:
            raise InvalidArgumentError(
                f"{_WHAT} is incomplete: it does not hold {name}", hint="save the image again"
            )
        return self.files[seen]


async def load(context: Context, stream: BinaryIO, report: Report, lease: Lease) -> list[Image]:
    """Load all images of an archive; see ImageService.load."""
    reporter = Reporter(report)
    archive = await context.workers.run(None, lambda: _read(context, stream, lease))
    found = await context.workers.run(None, lambda: _images(context, archive, lease))
    return [await _enter(context, one, lease, reporter) for one in found]


def _read(context: Context, stream: BinaryIO, lease: Lease) -> _Archive:
    archive = _Archive()
    with (
        broken_archive(_WHAT),
        tarfile.open(fileobj=Opened(stream).plain(), mode="r|", bufsize=1 << 20) as tar,
    ):
        for member in tar:
            name = posixpath.normpath(member.name)
            if member.issym():
                archive.links[name] = posixpath.normpath(
                    posixpath.join(posixpath.dirname(name), member.linkname)
                )
            elif member.islnk():
                archive.links[name] = posixpath.normpath(member.linkname)
            elif member.isreg():
                _read_file(context, archive, (tar, member, name), lease)
    return archive


def _read_file(
    context: Context,
    archive: _Archive,
    where: tuple[tarfile.TarFile, tarfile.TarInfo, str],
    lease: Lease,
) -> None:
    tar, member, name = where
    data = tar.extractfile(member)
    if data is None:
        return
    if name in _DOCUMENTS:
        if member.size > _MAX_DOCUMENT:
            raise InvalidArgumentError(f"{_WHAT} is damaged: {name} has {member.size} bytes")
        archive.documents[name] = b"".join(blocks(data, member.size))  # type: ignore[arg-type]
        return
    expected = _promised(name)
    if expected is not None:
        lease.add(expected)
    # Not the digest: a pull may be writing the same blob, and there is nothing to resume.
    key = f"load-{os.urandom(12).hex()}"
    magic = b""
    with context.content.ingest(key, expected, member.size) as ingest:
        try:
            for block in blocks(data, member.size):  # type: ignore[arg-type]
                magic = magic or block[:6]
                ingest.write(block)
            digest = ingest.commit()
        finally:
            ingest.abort()
    lease.add(digest)
    archive.files[name] = _Stored(digest, member.size, magic)


def _promised(name: str) -> Digest | None:
    """The digest that the name of a file in an OCI layout promises."""
    head, _, tail = name.rpartition("/")
    is_hex = len(tail) == 64 and all(digit in "0123456789abcdef" for digit in tail)
    return Digest(f"sha256:{tail}") if is_hex and head == "blobs/sha256" else None


def _images(context: Context, archive: _Archive, lease: Lease) -> list[_Loaded]:
    """The images of the archive; OCI's documents win, since they keep the manifest's digest."""
    found: dict[Digest, _Loaded] = {}
    if "index.json" in archive.documents:
        index = decode_index(archive.documents["index.json"], "index.json")
        for one in _oci_images(context, archive, index):
            _add_names(found, one, one.refs)
    for entry in _docker_entries(archive):
        refs = tuple(parse_reference(tag).with_default_tag() for tag in entry.repo_tags or ())
        known = found.get(archive.file(entry.config).digest)
        _add_names(found, known or _docker_image(context, archive, entry, lease), refs)
    if not found:
        raise InvalidArgumentError(
            f"{_WHAT} holds no image: neither manifest.json nor index.json lists one",
            hint="use import for the file system of a container",
        )
    return list(found.values())


def _add_names(found: dict[Digest, _Loaded], one: _Loaded, refs: tuple[Reference, ...]) -> None:
    key = one.manifest.config.digest
    before = found.get(key, one)
    merged = tuple(dict.fromkeys((*before.refs, *refs)))
    found[key] = msgspec.structs.replace(before, refs=merged)


def _oci_images(context: Context, archive: _Archive, index: Index) -> list[_Loaded]:
    loaded = []
    for entry in index.manifests:
        refs = _annotated(entry)
        what = refs[0].familiar() if refs else entry.digest
        target = entry
        if is_index(entry.media_type):
            inner = decode_index(_blob(context, archive, entry), what)
            here = [one for one in inner.manifests if _held(archive, one.digest)]
            inner = msgspec.structs.replace(inner, manifests=tuple(here))
            target = select(inner, Wanted(host_platform(), named=False))
        manifest = decode_manifest(_blob(context, archive, target), what)
        for blob in (manifest.config, *manifest.layers):
            archive.file(_path(blob.digest))
        bare = Descriptor(target.media_type, target.digest, target.size)
        loaded.append(_Loaded(bare, manifest, refs))
    return loaded


def _docker_entries(archive: _Archive) -> tuple[_DockerImage, ...]:
    data = archive.documents.get("manifest.json", b"[]")
    try:
        return msgspec.json.decode(data, type=tuple[_DockerImage, ...])
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArgumentError(f"{_WHAT}: manifest.json cannot be read: {error}") from error


def _docker_image(
    context: Context, archive: _Archive, entry: _DockerImage, lease: Lease
) -> _Loaded:
    """Docker's archives hold no manifest: write the one that its registry client would."""
    config = archive.file(entry.config)
    layers = tuple(_layer(archive.file(name)) for name in entry.layers)
    manifest = Manifest(
        2, Descriptor(MEDIA_OCI_CONFIG, config.digest, config.size), layers, MEDIA_OCI_MANIFEST
    )
    data = encode(manifest)
    digest = context.content.write(data)
    lease.add(digest)
    return _Loaded(Descriptor(MEDIA_OCI_MANIFEST, digest, len(data)), manifest, ())


def _layer(stored: _Stored) -> Descriptor:
    media_type = MEDIA_OCI_LAYER
    if stored.magic.startswith(b"\x1f\x8b"):
        media_type = MEDIA_OCI_LAYER_GZIP
    elif stored.magic.startswith(b"\x28\xb5\x2f\xfd"):
        media_type = MEDIA_OCI_LAYER_ZSTD
    return Descriptor(media_type, stored.digest, stored.size)


async def _enter(context: Context, one: _Loaded, lease: Lease, reporter: Reporter) -> Image:
    image_id = one.manifest.config.digest
    name = one.refs[0].familiar() if one.refs else image_id
    config = decode_config(context.content.read(image_id), name)
    if config.os != "linux":
        raise UnsupportedError(
            f'cannot load image {name}: operating system "{config.os}" is not supported'
        )
    check_layers(one.manifest, config, name)
    layers = layers_of(one.manifest, config)
    sizes: dict[str, int | None] = {}
    for layer in layers:
        lease.add(layer.chain, layer.blob.digest)
        sizes[layer.chain] = await ensure_layer(context, layer)
    before = context.images.find(image_id)
    target = one.target if before is None else before.target
    record = ImageRecord(target, await sizes_of(context, layers, sizes))
    image = context.images.add(image_id, record)
    for ref in one.refs:
        _name(context, image_id, ref, reporter)
    if not one.refs:
        reporter.emit(Progress(stream=f"Loaded image ID: {image_id}\n"))
    context.tell("load", image_id, {"name": name})
    return context.images.find(image_id) or image


def _name(context: Context, image_id: Digest, ref: Reference, reporter: Reporter) -> None:
    before = context.images.tag(image_id, ref)
    if before not in (None, image_id):
        reporter.emit(
            Progress(
                stream=f"The image {ref.familiar()} already exists, renaming the old one with ID"
                f" {before} to empty string\n"
            )
        )
    reporter.emit(Progress(stream=f"Loaded image: {ref.familiar()}\n"))


def _annotated(entry: Descriptor) -> tuple[Reference, ...]:
    """The name in a descriptor's annotations; a bare tag is none."""
    text = entry.annotations.get(_NAME) or entry.annotations.get(_REF_NAME, "")
    if ":" not in text and "/" not in text:
        return ()
    try:
        return (parse_reference(text).with_default_tag(),)
    except BoxshipError:
        return ()


def _blob(context: Context, archive: _Archive, entry: Descriptor) -> bytes:
    return context.content.read(archive.file(_path(entry.digest)).digest)


def _held(archive: _Archive, digest: Digest) -> bool:
    return _path(digest) in archive.files


def _path(digest: Digest) -> str:
    return f"blobs/sha256/{digest.partition(':')[2]}"
