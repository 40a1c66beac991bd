"""Images made here: what they are to be, and entering them."""

from datetime import UTC, datetime

import msgspec

from boxship.image.context import Context
from boxship.image.documents import encode
from boxship.image.store import ImageRecord
from boxship.model.image import (
    MEDIA_OCI_CONFIG,
    MEDIA_OCI_MANIFEST,
    Descriptor,
    Image,
    ImageConfig,
    ImageRunConfig,
    Manifest,
)
from boxship.model.platform import Platform
from boxship.model.reference import Reference
from boxship.storage.gc import Lease


class Import(msgspec.Struct, frozen=True):
    """What an imported image is to be.

    Attributes:
        refs: its names.
        config: defaults for its containers.
        message: a comment for its history.
        created_by: the command for its history.
        created: RFC 3339 time; empty for now.
    """

    refs: tuple[Reference, ...] = ()
    config: ImageRunConfig = ImageRunConfig()
    message: str = ""
    created_by: str = ""
    created: str = ""
    platform: Platform | None = None


def add_image(
    context: Context,
    config: ImageConfig,
    layers: tuple[Descriptor, ...],
    sizes: tuple[int, ...],
    lease: Lease,
    parent: str = "",
) -> Image:
    """Write config and manifest of an image whose layers are stored, and enter it."""
    data = encode(config)
    image_id = context.content.write(data)
    lease.add(image_id)
    manifest = encode(
        Manifest(2, Descriptor(MEDIA_OCI_CONFIG, image_id, len(data)), layers, MEDIA_OCI_MANIFEST)
    )
    digest = context.content.write(manifest)
    lease.add(digest)
    target = Descriptor(MEDIA_OCI_MANIFEST, digest, len(manifest))
    known = context.images.find(image_id)
    if known is not None:
        return known
    return context.images.add(image_id, ImageRecord(target, sizes, parent=parent))


def timestamp(nanoseconds: int) -> str:
    """RFC 3339 in UTC, with the nanoseconds that Docker writes."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
