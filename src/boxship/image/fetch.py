"""One blob from a registry into the content store, verified, and perhaps unpacked on the way."""

from contextlib import ExitStack

import msgspec

from boxship.errors import BoxshipError, InvalidArgumentError
from boxship.image.context import Context
from boxship.image.progress import Meter, Reporter
from boxship.image.unpack import Layer, layer_lock
from boxship.model.image import Descriptor
from boxship.model.reference import Reference
from boxship.registry.errors import VerificationError
from boxship.registry.repository import Repository
from boxship.registry.stop import Stop
from boxship.storage.content.ingest import Ingest
from boxship.storage.diff.unpack import Unpacking

_MAX_DOCUMENT = 16 << 20


class Transfer(msgspec.Struct, frozen=True):
    """A pull on its way: from where, into what, told to whom, and how to end it."""

    context: Context
    repository: Repository
    ref: Reference
    reporter: Reporter
    stop: Stop


class _Memory:
    """A sink for documents."""

    def __init__(self) -> None:
        self.data = bytearray()

    @property
    def offset(self) -> int:
        return len(self.data)

    def write(self, data: memoryview) -> None:
        self.data += data


class _Tee:
    """A sink that stores a blob, shows how far it is, and feeds an unpacker."""

    def __init__(self, ingest: Ingest, meter: Meter | None, unpacking: Unpacking | None) -> None:
        self._ingest = ingest
        self._meter = meter
        self._unpacking = unpacking
        self.failure: BoxshipError | None = None

    @property
    def offset(self) -> int:
        return self._ingest.offset

    def write(self, data: memoryview) -> None:
        self._ingest.write(data)
        if self._unpacking is not None:
            try:
                # The unpacker may keep what it is given; the transport uses its buffer again.
                self._unpacking.write(bytes(data))
            except BoxshipError as failure:
                # Whether the archive or the registry is to blame shows when all bytes are here.
                self.failure, self._unpacking = failure, None
        if self._meter is not None:
            self._meter.update(self._ingest.offset)


def fetch_document(transfer: Transfer, blob: Descriptor) -> bytes:
    """Fetch and store a small blob, an image's config; there may be several at once for one.

    Raises: as fetch_blob(), and
        InvalidArgumentError: it is larger than any config.
    """
    content = transfer.context.content
    if content.has(blob.digest):
        return content.read(blob.digest)
    if blob.size > _MAX_DOCUMENT:
        raise InvalidArgumentError(f"config {blob.digest} has {blob.size} bytes")
    memory = _Memory()
    try:
        transfer.repository.fetch(blob, memory)
        data = bytes(memory.data)
        content.write(data, blob.digest)
    except (VerificationError, InvalidArgumentError) as error:
        raise _lying(transfer, error) from error
    return data


def fetch_blob(transfer: Transfer, blob: Descriptor, meter: Meter | None = None) -> None:
    """Store a blob unless it is there; a partial one is completed.

    Raises:
        VerificationError: the registry sent something else; nothing of it is kept.
        NotFoundError: the registry does not have it.
        UnavailableError: the registry does not answer.
    """
    if transfer.context.content.has(blob.digest):
        return
    with _ingest(transfer, blob) as ingest:
        resumed = ingest.offset
        try:
            _receive(transfer, blob, _Tee(ingest, meter, None), ingest)
        except VerificationError:
            # What an earlier attempt left may be what is wrong.
            if not resumed:
                raise
        else:
            return
    with _ingest(transfer, blob) as ingest:
        _receive(transfer, blob, _Tee(ingest, meter, None), ingest)


async def fetch_layer(transfer: Transfer, layer: Layer, *, unpack: bool) -> int | None:
    """Store a layer's blob; with `unpack`, make its snapshot from the same bytes.

    Returns:
        Bytes of its tar stream if it was unpacked, else None.

    Raises: as fetch_blob(), and as unpacking does.
    """
    context = transfer.context
    workers = context.workers
    meter = transfer.reporter.meter("Downloading", layer.short, layer.blob.size)
    async with workers.alone(f"blob {layer.blob.digest}"), layer_lock(context, layer):
        if unpack and not transfer.context.snapshots.exists(layer.chain):
            return await workers.run(
                transfer.stop, lambda: _fetch_unpacking(transfer, layer, meter)
            )
        await workers.run(transfer.stop, lambda: fetch_blob(transfer, layer.blob, meter))
        return None


def _fetch_unpacking(transfer: Transfer, layer: Layer, meter: Meter) -> int | None:
    snapshots = transfer.context.snapshots
    if transfer.context.content.has(layer.blob.digest):
        return None
    with ExitStack() as stack:
        ingest = stack.enter_context(_ingest(transfer, layer.blob))
        if not ingest.offset:
            stage = stack.enter_context(snapshots.stage(layer.chain, layer.parent))
            parents = snapshots.layers(layer.parent) if layer.parent else ()
            unpacking = stack.enter_context(Unpacking(stage.path, parents=parents))
            tee = _Tee(ingest, meter, unpacking)
            _receive(transfer, layer.blob, tee, ingest)
            if tee.failure is not None:
                raise tee.failure
            applied = unpacking.finish(layer.diff_id)
            stage.commit()
            return applied.size
    fetch_blob(transfer, layer.blob, meter)
    return None


def _ingest(transfer: Transfer, blob: Descriptor) -> Ingest:
    ingest = transfer.context.content.ingest(blob.digest, blob.digest, blob.size)
    if ingest.offset > blob.size:
        ingest.reset()
    return ingest


def _receive(transfer: Transfer, blob: Descriptor, sink: _Tee, ingest: Ingest) -> None:
    try:
        transfer.repository.fetch(blob, sink)
        ingest.commit()
    except (VerificationError, InvalidArgumentError) as error:
        ingest.abort()
        raise _lying(transfer, error) from error


def _lying(transfer: Transfer, error: BoxshipError) -> VerificationError:
    return VerificationError(f"registry {transfer.ref.domain}: {error.message}", hint=error.hint)
