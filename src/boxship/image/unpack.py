"""From layer blobs to snapshots.

A layer is unpacked by a process confined to a private directory and published under its chain id
in one rename, so a crash leaves nothing half-made and doing it again costs nothing.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

import msgspec

from boxship.errors import InternalError, InvalidArgumentError, NotFoundError
from boxship.image.context import Context
from boxship.image.documents import chain_ids
from boxship.image.progress import Reporter, short
from boxship.model.digest import Digest
from boxship.model.image import Descriptor, ImageConfig, Manifest
from boxship.storage.diff.unpack import unpack_layer


class Layer(msgspec.Struct, frozen=True):
    """One layer on its place in a stack; `parent` is the chain id below, None at the bottom."""

    blob: Descriptor
    diff_id: Digest
    chain: str
    parent: str | None

    @property
    def short(self) -> str:
        return short(self.blob.digest)


def layers_of(manifest: Manifest, config: ImageConfig) -> tuple[Layer, ...]:
    """The layers from the base up; manifest and config must agree on their number."""
    chains = chain_ids(config)
    parents = (None, *chains[:-1])
    rows = zip(manifest.layers, config.rootfs.diff_ids, chains, parents, strict=True)
    return tuple(Layer(*row) for row in rows)


def layer_lock(context: Context, layer: Layer) -> AbstractAsyncContextManager[None]:
    """Keeps two tasks from unpacking the same layer at once."""
    # The diff id of a plain tar is its blob's digest too: locks of both kinds must differ.
    return context.workers.alone(f"layer {layer.chain}")


async def ensure_layer(
    context: Context, layer: Layer, reporter: Reporter | None = None
) -> int | None:
    """Make the layer's snapshot if it is not there; its blob and its parent must be.

    Returns:
        Bytes of its tar stream; None when it was there already.

    Raises:
        InvalidArgumentError: the blob is damaged, is not what the config says, or leaves its root.
        ExhaustedError: no space left.
    """
    async with layer_lock(context, layer):
        if context.snapshots.exists(layer.chain):
            return None
        if reporter is not None:
            reporter.say("Extracting", layer.short)
        return await context.workers.run(None, lambda: _unpack(context, layer))


async def ensure_unpacked(context: Context, manifest: Manifest, config: ImageConfig) -> str:
    """Make all snapshots of an image; returns the chain id of the top one, empty for no layers."""
    layers = layers_of(manifest, config)
    if layers and context.snapshots.exists(layers[-1].chain):
        return layers[-1].chain
    with context.leases.hold() as lease:
        for layer in layers:
            lease.add(layer.chain, layer.blob.digest)
            await ensure_layer(context, layer)
    return layers[-1].chain if layers else ""


async def sizes_of(
    context: Context, layers: tuple[Layer, ...], fresh: Mapping[str, int | None]
) -> tuple[int, ...]:
    """Bytes of each layer: as just unpacked, as an image's record says, or as found on disk."""
    known: dict[str, int] = {
        **context.images.layer_sizes(),
        **{chain: size for chain, size in fresh.items() if size is not None},
    }

    def measure() -> tuple[int, ...]:
        sizes: dict[str, int] = {}
        for layer in layers:
            size = known.get(layer.chain)
            sizes[layer.chain] = context.snapshots.usage(layer.chain).size if size is None else size
        return tuple(sizes[layer.chain] for layer in layers)

    return await context.workers.run(None, measure)


def _unpack(context: Context, layer: Layer) -> int:
    try:
        return _unpack_blob(context, layer)
    except FileNotFoundError as gone:
        raise NotFoundError(
            f"layer {layer.blob.digest} is not in the store", hint="pull or load its image again"
        ) from gone
    except InvalidArgumentError as failure:
        if context.content.verify(layer.blob.digest):
            raise
        # Not the image is to blame but this disk: out of the way of a pull that brings it anew.
        context.content.delete(layer.blob.digest)
        raise InternalError(
            f"layer {layer.blob.digest} was damaged on the disk and is removed",
            hint="pull or load its image again",
        ) from failure


def _unpack_blob(context: Context, layer: Layer) -> int:
    snapshots = context.snapshots
    with snapshots.stage(layer.chain, layer.parent) as stage:
        parents = snapshots.layers(layer.parent) if layer.parent else ()
        applied = unpack_layer(
            context.content.path(layer.blob.digest),
            layer.blob.media_type,
            stage.path,
            parents=parents,
            expected=layer.diff_id,
        )
        stage.commit()
    return applied.size
