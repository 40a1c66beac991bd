"""Import: the file system of a container or a machine becomes an image of one layer."""

from typing import BinaryIO

from boxship.image.context import Context
from boxship.image.layers import NewLayer, put_layer
from boxship.image.made import Import, add_image, timestamp
from boxship.model.image import History, Image, ImageConfig, RootFs
from boxship.model.platform import host_platform
from boxship.storage.gc import Lease


def import_stream(context: Context, stream: BinaryIO, wanted: Import, what: str) -> Image:
    """Make an image of a tar stream. Blocking; see ImageService.import_."""
    with context.leases.hold() as lease:
        return import_leased(context, stream, wanted, what, lease)


def import_leased(
    context: Context, stream: BinaryIO, wanted: Import, what: str, lease: Lease
) -> Image:
    """The same, under the caller's lease."""
    layer = put_layer(context, stream, None, lease, what)
    return _enter(context, layer, wanted, lease)


def _enter(context: Context, layer: NewLayer, wanted: Import, lease: Lease) -> Image:
    created = wanted.created or timestamp(context.clock())
    platform = wanted.platform or host_platform()
    step = History(
        created=created, created_by=wanted.created_by or None, comment=wanted.message or None
    )
    config = ImageConfig(
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        rootfs=RootFs("layers", (layer.diff_id,)),
        created=created,
        config=wanted.config,
        history=(step,),
    )
    image = add_image(context, config, (layer.blob,), (layer.size,), lease)
    for ref in wanted.refs:
        context.images.tag(image.id, ref)
    return context.images.find(image.id) or image
