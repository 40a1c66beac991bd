"""A new layer from a tar stream: stored compressed, and unpacked under its chain id."""

import os
from typing import BinaryIO

import msgspec

from boxship.image.archive import Opened, blocks, broken_archive
from boxship.image.context import Context
from boxship.model.digest import Digest, digest_of
from boxship.model.image import MEDIA_OCI_LAYER_GZIP, MEDIA_OCI_LAYER_ZSTD, Descriptor
from boxship.storage.diff.codec import encoder
from boxship.storage.diff.unpack import unpack_layer
from boxship.storage.gc import Lease


class NewLayer(msgspec.Struct, frozen=True):
    """A layer that was stored: its blob, and what an image config and record say about it."""

    blob: Descriptor
    diff_id: Digest
    chain: str
    size: int


def put_layer(
    context: Context, stream: BinaryIO, parent: str | None, lease: Lease, what: str
) -> NewLayer:
    """Store a layer on top of a chain and unpack it. Blocking.

    gzip and zstd streams are kept as they are; others are compressed with gzip.

    Args:
        context: where to.
        stream: a tar stream, may be compressed.
        parent: chain id below, None for a first layer.
        lease: keeps blob and snapshot until an image names them.
        what: what an error calls the stream.

    Raises:
        InvalidArgumentError: it is no tar archive, is damaged or leaves its root.
        ExhaustedError: no space left.
    """
    with broken_archive(what):
        opened = Opened(stream)
        media_type = MEDIA_OCI_LAYER_ZSTD if opened.compression == "zstd" else MEDIA_OCI_LAYER_GZIP
        digest = _store(context, opened, lease)
    blob = Descriptor(media_type, digest, context.content.size(digest))
    # The chain id is known only when all is unpacked; the stage wants some name before.
    with context.snapshots.stage(digest, parent) as stage:
        parents = context.snapshots.layers(parent) if parent else ()
        path = context.content.path(digest)
        applied = unpack_layer(path, media_type, stage.path, parents=parents)
        diff_id = applied.diff_id
        chain = digest_of(f"{parent} {diff_id}".encode()) if parent else diff_id
        lease.add(chain)
        stage.commit(chain)
    return NewLayer(blob, diff_id, chain, applied.size)


def _store(context: Context, opened: Opened, lease: Lease) -> Digest:
    key = f"layer-{os.urandom(12).hex()}"
    with context.content.ingest(key) as ingest:
        try:
            if opened.compression in ("gzip", "zstd"):
                for block in blocks(opened.raw()):
                    ingest.write(block)
            else:
                packer = encoder("gzip")
                for block in blocks(opened.plain()):
                    ingest.write(packer.compress(block))
                ingest.write(packer.flush())
            digest = ingest.commit()
        finally:
            ingest.abort()
    lease.add(digest)
    return digest
