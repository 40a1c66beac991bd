"""Push: from the stores to a registry, byte for byte as stored, so that digests stay."""

import asyncio
from collections.abc import Callable
from typing import BinaryIO, Self, cast

import msgspec

from boxship.errors import NotFoundError
from boxship.image.context import Context
from boxship.image.progress import Meter, Progress, Report, Reporter, short
from boxship.image.workers import together
from boxship.model.digest import Digest
from boxship.model.image import Descriptor, Image
from boxship.model.reference import Reference
from boxship.model.registry import Credentials
from boxship.registry.client import RegistryClient
from boxship.registry.repository import Repository, Source
from boxship.registry.stop import Stop

_PARALLEL = 5


class _Upload(msgspec.Struct, frozen=True):
    """A push on its way."""

    context: Context
    repository: Repository
    reporter: Reporter
    stop: Stop
    mounts: dict[Digest, str]


async def push(
    context: Context,
    client: RegistryClient,
    ref: Reference,
    credentials: Credentials,
    report: Report,
) -> None:
    """Push one tag, or all tags of a repository; see ImageService.push."""
    reporter = Reporter(report)
    refs = [ref] if ref.tag is not None else context.images.tags_of(ref)
    if not refs:
        raise NotFoundError(f"An image does not exist locally with the tag: {ref.familiar_name}")
    reporter.say(f"The push refers to repository [{ref.name}]")
    for one in refs:
        image = context.images.find_reference(one)
        if image is None:
            raise NotFoundError(
                f"tag does not exist: {one.familiar()}", hint="name it with tag first"
            )
        with context.leases.hold() as lease:
            blobs = (image.manifest.config, *image.manifest.layers)
            lease.add(*(blob.digest for blob in blobs), image.target.digest)
            await _push_one(context, client, (one, image), credentials, reporter)


async def _push_one(
    context: Context,
    client: RegistryClient,
    what: tuple[Reference, Image],
    credentials: Credentials,
    reporter: Reporter,
) -> None:
    ref, image = what
    mounts = _elsewhere(context, ref, image)
    stop = Stop()
    sources = tuple(sorted(set(mounts.values())))
    repository = client.repository(ref, credentials, push=True, mount_from=sources, stop=stop)
    upload = _Upload(context, repository, reporter, stop, mounts)
    for layer in image.manifest.layers:
        reporter.say("Preparing", short(layer.digest))
    gate = asyncio.Semaphore(_PARALLEL)
    unique = {layer.digest: layer for layer in image.manifest.layers}
    await together(_layer(upload, layer, gate) for layer in unique.values())

    def finish() -> None:
        if not repository.has(image.manifest.config.digest):
            _send(upload, image.manifest.config, None)
        data = context.content.read(image.target.digest)
        repository.put_manifest(ref, image.target.media_type, data)

    await context.workers.run(stop, finish)
    digest, size = image.target.digest, image.target.size
    context.images.tag(image.id, Reference(ref.domain, ref.path, None, digest))
    reporter.say(f"{ref.tag}: digest: {digest} size: {size}")
    reporter.emit(Progress(aux={"Tag": ref.tag or "", "Digest": digest, "Size": size}))
    context.tell("push", ref.familiar(), {"name": ref.familiar_name})


async def _layer(upload: _Upload, layer: Descriptor, gate: asyncio.Semaphore) -> None:
    ident = short(layer.digest)
    if gate.locked():
        upload.reporter.say("Waiting", ident)
    async with gate:
        await upload.context.workers.run(upload.stop, lambda: _push_layer(upload, layer))


def _push_layer(upload: _Upload, layer: Descriptor) -> None:
    ident = short(layer.digest)
    if upload.repository.has(layer.digest):
        upload.reporter.say("Layer already exists", ident)
        return
    location = ""
    other = upload.mounts.get(layer.digest)
    if other is not None:
        location = upload.repository.mount(layer.digest, other)
        if not location:
            upload.reporter.say(f"Mounted from {other}", ident)
            return
    meter = upload.reporter.meter("Pushing", ident, layer.size)
    _send(upload, layer, meter, location)
    upload.reporter.say("Pushed", ident)


def _send(upload: _Upload, blob: Descriptor, meter: Meter | None, location: str = "") -> None:
    content = upload.context.content

    def opened() -> BinaryIO:
        stream = content.open(blob.digest)
        update = meter.update if meter is not None else _ignore
        return cast("BinaryIO", _Watched(stream, update, upload.stop))

    upload.repository.upload(Source(opened, blob.size, lambda: blob.digest), location)


class _Watched:
    """A blob being read by the transport: counts, and ends early when told to stop."""

    def __init__(self, stream: BinaryIO, update: Callable[[int], None], stop: Stop) -> None:
        self._stream = stream
        self._update = update
        self._stop = stop
        self._done = 0

    def read(self, size: int) -> bytes:
        if self._stop.is_set():
            return b""
        data = self._stream.read(size)
        self._done += len(data)
        self._update(self._done)
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def _ignore(_: int) -> None:
    """Nobody watches."""


def _elsewhere(context: Context, ref: Reference, image: Image) -> dict[Digest, str]:
    """Other repositories of the same registry that should have layers of the image."""
    found: dict[Digest, str] = {}
    wanted = {layer.digest for layer in image.manifest.layers}
    for other in context.images.all():
        shared = wanted & {layer.digest for layer in other.manifest.layers}
        if not shared:
            continue
        for name in context.images.references(other.id):
            # Only a digest tells that it was there: pulled from or pushed to it.
            if name.digest and name.domain == ref.domain and name.path != ref.path:
                found.update(dict.fromkeys(shared, name.path))
    return found
