"""Pull: from a registry into the stores.

Layers are downloaded three at a time into the content store; each is unpacked as soon as the one
below it is. The layer whose turn it is when its download begins is unpacked from the same bytes
that are being stored.
"""

import asyncio

import msgspec

from boxship.errors import (
    BoxshipError,
    ExhaustedError,
    InvalidArgumentError,
    UnavailableError,
)
from boxship.image.context import Context
from boxship.image.documents import (
    check_layers,
    decode_config,
    decode_index,
    decode_manifest,
    is_index,
)
from boxship.image.fetch import Transfer, fetch_document, fetch_layer
from boxship.image.progress import Report, Reporter, short
from boxship.image.selection import Wanted, check_platform, select
from boxship.image.store import ImageRecord
from boxship.image.unpack import Layer, ensure_layer, layers_of, sizes_of
from boxship.image.workers import together
from boxship.model.digest import Digest
from boxship.model.image import Descriptor, Image, ImageConfig, Manifest
from boxship.model.reference import Reference
from boxship.model.registry import Credentials
from boxship.registry.client import RegistryClient
from boxship.registry.errors import VerificationError
from boxship.registry.repository import Document
from boxship.registry.stop import Stop
from boxship.storage.gc import Lease

_PARALLEL = 3


class Found(msgspec.Struct, frozen=True):
    """What a reference led to: its own digest, and the documents of one image."""

    digest: Digest
    target: Descriptor
    manifest: Manifest
    config: ImageConfig

    @property
    def id(self) -> Digest:
        return self.manifest.config.digest


class PullRequest(msgspec.Struct, frozen=True):
    """What to pull, for which platform, as whom."""

    ref: Reference
    wanted: Wanted
    credentials: Credentials


def is_resumable(failure: BaseException) -> bool:
    """Whether a pull that failed so may succeed later, and go on from what it brought in."""
    if isinstance(failure, VerificationError):
        return False
    return not isinstance(failure, BoxshipError) or isinstance(
        failure, UnavailableError | ExhaustedError
    )


async def pull(
    context: Context, client: RegistryClient, request: PullRequest, report: Report, lease: Lease
) -> Image:
    """Pull one image; see ImageService.pull."""
    ref = request.ref
    reporter = Reporter(report)
    reporter.say(f"Pulling from {ref.path}", ref.digest or ref.tag or "")
    stop = Stop()
    repository = client.repository(ref, request.credentials, stop=stop)
    transfer = Transfer(context, repository, ref, reporter, stop)
    found = await context.workers.run(stop, lambda: _documents(transfer, request, lease))
    check_platform(found.config.platform, request.wanted, ref)
    before = context.images.find(found.id)
    known = before is not None and before.target.digest == found.target.digest
    layers = layers_of(found.manifest, found.config)
    for layer in layers:
        lease.add(layer.chain, layer.blob.digest)
    sizes = await _layers(transfer, layers, quiet=known)
    image = _record(context, request.ref, found, sizes, known=known)
    reporter.say(f"Digest: {found.digest}")
    newer = "Image is up to date for" if known else "Downloaded newer image for"
    reporter.say(f"Status: {newer} {ref.familiar()}")
    context.tell("pull", ref.familiar(), {"name": ref.familiar_name})
    return image


def _documents(transfer: Transfer, request: PullRequest, lease: Lease) -> Found:
    """Index if there is one, manifest and config, verified and stored."""
    ref = request.ref
    resolved = transfer.repository.resolve(ref)
    top = resolved.descriptor if isinstance(resolved, Document) else resolved
    data = resolved.data if isinstance(resolved, Document) else _manifest(transfer, top)
    target = top
    if is_index(top.media_type):
        target = select(decode_index(data, ref.familiar()), request.wanted)
        data = _manifest(transfer, target)
    manifest = decode_manifest(data, ref.familiar())
    lease.add(target.digest, manifest.config.digest)
    transfer.context.content.write(data, target.digest)
    config = decode_config(fetch_document(transfer, manifest.config), ref.familiar())
    check_layers(manifest, config, ref.familiar())
    bare = Descriptor(target.media_type, target.digest, len(data))
    return Found(top.digest, bare, manifest, config)


def _manifest(transfer: Transfer, target: Descriptor) -> bytes:
    content = transfer.context.content
    if content.has(target.digest):
        return content.read(target.digest)
    ref = transfer.ref
    return transfer.repository.manifest(Reference(ref.domain, ref.path, None, target.digest)).data


async def _layers(transfer: Transfer, layers: tuple[Layer, ...], *, quiet: bool) -> tuple[int, ...]:
    """Bring all layers in; returns their sizes."""
    context, reporter = transfer.context, transfer.reporter
    done = [asyncio.Event() for _ in layers]
    gate = asyncio.Semaphore(_PARALLEL)
    sizes: dict[str, int | None] = {}

    async def bring(index: int, layer: Layer) -> None:
        size: int | None = None
        if not context.content.has(layer.blob.digest):
            async with gate:
                turn = index == 0 or done[index - 1].is_set()
                size = await fetch_layer(transfer, layer, unpack=turn)
            reporter.say("Download complete", layer.short)
        if index:
            await done[index - 1].wait()
        unpacked = await ensure_layer(context, layer, reporter)
        sizes[layer.chain] = unpacked if size is None else size
        done[index].set()
        reporter.say("Pull complete", layer.short)

    works = []
    for index, layer in enumerate(layers):
        if context.content.has(layer.blob.digest) and context.snapshots.exists(layer.chain):
            done[index].set()
            if not quiet:
                reporter.say("Already exists", layer.short)
            continue
        reporter.say("Pulling fs layer", layer.short)
        works.append(bring(index, layer))
        if len(works) > _PARALLEL:
            reporter.say("Waiting", layer.short)
    await together(works)
    return await sizes_of(context, layers, sizes)


def _record(
    context: Context, ref: Reference, found: Found, sizes: tuple[int, ...], *, known: bool
) -> Image:
    names = [Reference(ref.domain, ref.path, None, found.digest)]
    if ref.digest is None:
        names.append(ref)
    elif ref.digest != found.digest:
        raise InvalidArgumentError(f"{short(ref.digest)} is not {short(found.digest)}")
    record = context.images.record(found.id) if known else ImageRecord(found.target, sizes)
    return context.images.add(found.id, record, names)
