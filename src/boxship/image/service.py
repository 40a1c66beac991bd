"""The image service: every verb on images, in one place to call and many to read."""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import BinaryIO, TypeVar

from boxship import log
from boxship.errors import InvalidArgumentError
from boxship.image import describe, made, remove, unpack
from boxship.image.collect import Holder, collect_garbage
from boxship.image.context import Context, OnEvent
from boxship.image.describe import HistoryEntry, Usage
from boxship.image.made import Import
from boxship.image.progress import Report, Reporter, ignore
from boxship.image.prune import PruneRequest, prune
from boxship.image.remove import InUse, Removal, Removed
from boxship.image.selection import Wanted
from boxship.image.store import ImageStore
from boxship.image.workers import Workers
from boxship.model.digest import Digest
from boxship.model.image import Descriptor, Image, ImageConfig
from boxship.model.platform import Platform, host_platform
from boxship.model.reference import Reference, parse_reference
from boxship.model.registry import Credentials
from boxship.registry.settings import RegistrySettings
from boxship.storage.content.store import ContentStore
from boxship.storage.gc import Collected, Lease, Leases
from boxship.storage.records.database import Database
from boxship.storage.snapshots.store import SnapshotStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.registry.client import LoginResult, RegistryClient

_T = TypeVar("_T")
_RESUMABLE = 24 * 3600.0


class ImageService:
    """Images in the local store, and their ways in and out.

    Coroutines must be awaited on one event loop; a cancelled one stops its transfers and leaves
    nothing but partial downloads, which a later pull resumes. Progress is reported on that loop.
    """

    def __init__(
        self,
        content: ContentStore,
        snapshots: SnapshotStore,
        database: Database,
        settings: RegistrySettings | None = None,
        on_event: OnEvent | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._context = Context(
            content=content,
            snapshots=snapshots,
            images=ImageStore(content, database, clock),
            leases=Leases(),
            workers=Workers(),
            settings=settings or RegistrySettings(),
            tell=on_event or _unheard,
            clock=clock,
        )
        self._holders: list[Holder] = []
        self._registry: RegistryClient | None = None

    @property
    def leases(self) -> Leases:
        """Keeps blobs and snapshots that no image names yet: for builds and commits."""
        return self._context.leases

    def hold(self, holder: Holder) -> None:
        """Ask this, too, what must be kept whenever garbage is collected (a build cache)."""
        self._holders.append(holder)

    # What there is

    def resolve(self, name: str) -> Image:
        """The image of this id, name or beginning of an id.

        Raises:
            NotFoundError: `No such image: NAME`, with the tag it looked for.
            InvalidArgumentError: the name cannot be one, or several ids begin like that.
        """
        return self._context.images.resolve(name)

    def find(self, image_id: Digest) -> Image | None:
        return self._context.images.find(image_id)

    def list(self) -> "tuple[Image, ...]":
        """All images, newest first."""
        return tuple(self._context.images.all())

    def history(self, name: str) -> tuple[HistoryEntry, ...]:
        """How an image came about, newest step first; raises as resolve()."""
        return describe.history(self._context.images, self.resolve(name))

    def usage(self) -> Usage:
        """Disk use, per image and in all."""
        return describe.usage(self._context.images, self.list())

    # Names

    def tag(self, source: str, target: str) -> Image:
        """Give an image another name; the name moves if it was another image's.

        Raises: as resolve(), and
            InvalidArgumentError: the target is no reference, or holds a digest.
        """
        image = self.resolve(source)
        ref = _tag_of(target)
        self._context.images.tag(image.id, ref)
        self._context.tell("tag", image.id, {"name": ref.familiar()})
        return self._context.images.find(image.id) or image

    def remove(
        self, name: str, *, force: bool = False, no_prune: bool = False, in_use: InUse
    ) -> tuple[Removed, ...]:
        """Untag an image, or delete it when that was its last name or an id was given.

        Answers at once; disk space is freed in the background. `no_prune` leaves the layers.
        Must be called on the event loop.

        Raises: as resolve(), and
            ConflictError: containers use it or several repositories name it, in Docker's words.
        """
        removed = remove.remove(self._context, Removal(name, force), in_use)
        if not no_prune and any(one.deleted for one in removed):
            log.create_task(self.collect(), "image: collect garbage")
        return tuple(removed)

    async def prune(self, request: PruneRequest, in_use: InUse) -> tuple[Sequence[Removed], int]:
        """Delete unused images; returns what went and the bytes of blobs freed."""
        removed = prune(self._context, request, in_use)
        collected = await self.collect()
        return removed, collected.size

    async def collect(self) -> Collected:
        """Delete blobs and snapshots that nothing needs; also what a crash left behind."""
        holders = tuple(self._holders)
        return await self._run(lambda: collect_garbage(self._context, holders))

    async def sweep(self, min_age: float = _RESUMABLE) -> None:
        """Delete what an earlier daemon was cut short in: snapshots, and blobs and partial ones.

        Blobs younger than `min_age` seconds stay, for a pull that goes on where it was.
        """
        context, holders = self._context, tuple(self._holders)

        def work() -> None:
            context.content.clean(min_age)
            collect_garbage(context, holders, min_age=min_age)

        await self._run(work)

    # Registries

    async def pull(
        self,
        reference: str,
        platform: Platform | None = None,
        credentials: Credentials | None = None,
        progress: Report = ignore,
    ) -> Image:
        """Bring an image in from its registry and name it.

        Raises:
            NotFoundError: no such repository, tag or platform, in Docker's words.
            UnauthorizedError: credentials are missing or wrong.
            UnavailableError: the registry does not answer, or sends what its digest denies.
            InvalidArgumentError: bad reference, damaged image, or one for another platform.
            UnsupportedError: an image for another operating system, or no image at all.
            ExhaustedError: no space left; what was downloaded stays for the next attempt.
        """
        from boxship.image import pull  # noqa: PLC0415 - ssl and http cost the daemon's start

        ref = parse_reference(reference).with_default_tag()
        wanted = Wanted(platform or host_platform(), named=platform is not None)
        request = pull.PullRequest(ref, wanted, credentials or Credentials())
        async with self._undone(unless=pull.is_resumable) as lease:
            return await pull.pull(self._context, self._client(), request, progress, lease)

    async def push(
        self, reference: str, credentials: Credentials | None = None, progress: Report = ignore
    ) -> None:
        """Send an image to its registry; without a tag, all tags of the repository.

        Raises:
            NotFoundError: no such image here.
            UnauthorizedError, ForbiddenError: the registry refuses it.
            UnavailableError: it does not answer.
        """
        from boxship.image import push  # noqa: PLC0415 - ssl and http cost the daemon's start

        ref = parse_reference(reference)
        await push.push(self._context, self._client(), ref, credentials or Credentials(), progress)

    async def login(self, credentials: Credentials) -> "LoginResult":
        """Check credentials with the registry they are for.

        Raises:
            UnauthorizedError: it refuses them.
            UnavailableError: it does not answer.
        """
        client = self._client()
        return await self._run(lambda: client.login(credentials))

    # Archives

    async def load(self, stream: BinaryIO, progress: Report = ignore) -> tuple[Image, ...]:
        """Bring in all images of an archive of save, or of an OCI layout, compressed or not.

        Raises:
            InvalidArgumentError: the archive is truncated, damaged, or holds no image.
            UnsupportedError: an image for another operating system.
            ExhaustedError: no space left.
        """
        from boxship.image import load  # noqa: PLC0415 - compressions cost the daemon's start

        async with self._undone() as lease:
            return tuple(await load.load(self._context, stream, progress, lease))

    async def save(self, names: Sequence[str], out: BinaryIO) -> None:
        """Write images as one archive for docker load and for readers of OCI layouts.

        Raises: as resolve(), before the first byte.
        """
        from boxship.image import save  # noqa: PLC0415 - tar costs the daemon's start

        for image_id in await self._run(lambda: save.save(self._context, names, out)):
            self._context.tell("save", image_id, {"name": image_id})

    async def import_(self, stream: BinaryIO, wanted: Import) -> Image:
        """Make an image of the tar stream of a file system.

        Raises:
            InvalidArgumentError: it is truncated, damaged or leaves its root.
            ExhaustedError: no space left.
        """
        from boxship.image import importing  # noqa: PLC0415 - compressions cost the daemon's start

        context, what = self._context, "file system archive"
        async with self._undone() as lease:
            image = await self._run(
                lambda: importing.import_leased(context, stream, wanted, what, lease)
            )
        name = image.tags[0] if image.tags else image.id
        self._context.tell("import", image.id, {"name": name})
        return image

    # Images made here

    async def ensure_unpacked(self, image: Image) -> str:
        """Make sure the image's snapshots exist; the chain id of the top one, empty for scratch.

        Raises:
            InvalidArgumentError: a layer is damaged.
            NotFoundError: a layer's blob is missing.
            ExhaustedError: no space left.
        """
        return await unpack.ensure_unpacked(self._context, image.manifest, image.config)

    def add(
        self,
        config: ImageConfig,
        layers: Sequence[Descriptor],
        tags: Iterable[Reference] = (),
        *,
        sizes: Sequence[int] = (),
        parent: str = "",
    ) -> Image:
        """Enter an image made here; its layer blobs are stored and leased by the caller.

        Args:
            config: written as it is; its digest becomes the image's id.
            layers: blobs from the base up, as many as the config has diff ids.
            tags: names for it.
            sizes: bytes of each layer, unpacked.
            parent: id of the image it builds on.

        Raises:
            InvalidArgumentError: layers and diff ids do not match in number.
        """
        if len(layers) != len(config.rootfs.diff_ids):
            raise InvalidArgumentError(
                f"an image of {len(layers)} layers needs as many diff ids,"
                f" not {len(config.rootfs.diff_ids)}"
            )
        context = self._context
        with context.leases.hold() as lease:
            image = made.add_image(context, config, tuple(layers), tuple(sizes), lease, parent)
        for ref in tags:
            context.images.tag(image.id, ref.with_default_tag())
        return context.images.find(image.id) or image

    async def bootstrap(self, name: str, progress: Report = ignore) -> Image:
        """Make a base image: `debian:bookworm`, `debian:trixie` or `busybox`.

        Raises:
            InvalidArgumentError: none of these.
            NotFoundError: the tool that makes it is not installed.
            UnavailableError: Debian's archive does not answer.
            InternalError: the tool failed.
        """
        # Rare, and http costs the daemon's start.
        from boxship.image.bootstrap import base, make  # noqa: PLC0415

        reporter = Reporter(progress)
        halt = base.Halt()
        work = make.plan(self._context, name, reporter, halt)
        image = await self._context.workers.run(halt, work)
        reporter.say(f"Status: Made {image.tags[0]}")
        return image

    async def close(self) -> None:
        """Wait for running work and close connections."""
        if self._registry is not None:
            self._registry.close()
        self._context.workers.close()

    @asynccontextmanager
    async def _undone(
        self, unless: Callable[[BaseException], bool] = lambda _: False
    ) -> AsyncIterator[Lease]:
        """A lease for what an operation brings in, which is deleted again when it fails."""
        names: set[str] = set()
        try:
            with self._context.leases.hold() as lease:
                names = lease.names
                yield lease
        except BaseException as failure:
            if names and not unless(failure):
                holders = tuple(self._holders)
                await self._run(lambda: collect_garbage(self._context, holders, among=names))
            raise

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await self._context.workers.run(None, work)

    def _client(self) -> "RegistryClient":
        if self._registry is None:
            from boxship.registry.client import RegistryClient  # noqa: PLC0415 - as above

            self._registry = RegistryClient(self._context.settings)
        return self._registry


def _tag_of(text: str) -> Reference:
    ref = parse_reference(text)
    if ref.digest is not None:
        raise InvalidArgumentError(f"refusing to create a tag with a digest reference: {text}")
    return ref.with_default_tag()


def _unheard(_action: str, _actor: str, _attributes: Mapping[str, str]) -> None:
    """Nobody listens to events."""
