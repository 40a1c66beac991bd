"""The build service: a request becomes an image, told step by step."""

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from boxship.builder.assembly import Assembly
from boxship.builder.build import Build
from boxship.builder.convert import Plan
from boxship.builder.narration import Narrator, Output
from boxship.builder.request import BuildRequest
from boxship.builder.solver import BuildCache, Clock, Solver
from boxship.builder.worker.executor import Executor
from boxship.builder.worker.helper import FileHelper
from boxship.builder.worker.run_mounts import CacheLocks
from boxship.builder.worker.setting import Stores
from boxship.builder.worker.worker import SnapshotWorker
from boxship.errors import InvalidArgumentError, NotFoundError
from boxship.image.service import ImageService
from boxship.model.image import Image
from boxship.model.reference import parse_reference
from boxship.storage.content.store import ContentStore
from boxship.storage.gc import Roots
from boxship.storage.records.records import Records
from boxship.storage.snapshots.store import SnapshotStore
from boxship.storage.trees import delete_tree


class BuildStores(msgspec.Struct, frozen=True):
    """What the service stands on.

    Attributes:
        content_root: the directory of `content`.
        records: the table `build_cache`.
    """

    images: ImageService
    content: ContentStore
    content_root: Path
    snapshots: SnapshotStore
    records: Records


class BuildService:
    """Builds images. Coroutines must be awaited on one event loop; builds may overlap.

    Args:
        stores: where images and layers go.
        executor: runs the commands of RUN.
        root: directory for temporary files and cache mounts; what a crash left is removed.
        clock: nanoseconds since the epoch.
    """

    def __init__(
        self, stores: BuildStores, executor: Executor, root: Path, clock: Callable[[], int]
    ) -> None:
        self._stores = stores
        self._cache = BuildCache(stores.records)
        self._clock = Clock(clock, timestamp)
        self._temporary = root / "tmp"
        self._locks = CacheLocks()
        self._worker_stores = Stores(
            content=stores.content,
            content_root=stores.content_root,
            snapshots=stores.snapshots,
            cache=self._cache,
            caches=root / "caches",
            executor=executor,
            unpack=stores.images.ensure_unpacked,
        )
        self._temporary.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._worker_stores.caches.mkdir(exist_ok=True, mode=0o700)
        self._clean()
        stores.images.hold(self.roots)

    async def build(self, request: BuildRequest, output: Output) -> Image:
        """Build an image and name it.

        A failed or cancelled build leaves no image, snapshot, process or mount; the steps that
        succeeded stay in the cache.

        Raises:
            InvalidArgumentError: the Dockerfile or the request is wrong, a file is missing.
            CommandFailedError: a command of RUN failed; it carries the exit code.
            NotFoundError: a base image or secret does not exist.
            UnsupportedError: an instruction this engine does not have.
        """
        tags = [_tag(text) for text in request.tags]
        narrator = Narrator(output)
        with self._stores.images.leases.hold() as lease:
            build = Build(self._stores.images, request, narrator, lease)
            plan, assembly = await self._solve(build)
            image = await self._enter(assembly)
            for warning in (*plan.warnings, *build.lint):
                narrator.say(f"[Warning] {warning}\n")
            narrator.built(image.id)
            for tag in tags:
                self._stores.images.tag(image.id, tag)
                narrator.tagged(tag)
        return self._stores.images.find(image.id) or image

    def roots(self) -> Roots:
        """What the cache keeps from being collected."""
        entries = list(self._cache.entries())
        return Roots(
            frozenset(e.layer.descriptor.digest for e in entries if e.layer is not None),
            frozenset(e.chain for e in entries if e.layer is not None),
        )

    async def prune(self, unused_since: int | None = None) -> int:
        """Forget results not used since a time (nanoseconds since the epoch), or all of them.

        Cache mounts go too when all is forgotten. Layers that an image has stay.

        Returns:
            Bytes of the blobs that went.
        """
        self._cache.prune(unused_since)
        if unused_since is None:
            for place in list(self._worker_stores.caches.iterdir()):
                await asyncio.to_thread(delete_tree, place)
        return (await self._stores.images.collect()).size

    def cache_size(self) -> int:
        """Bytes of the blobs that the cache keeps, also when images have them too."""
        layers = {e.layer.descriptor.digest: e.layer for e in self._cache.entries() if e.layer}
        return sum(layer.descriptor.size for layer in layers.values())

    async def _solve(self, build: Build) -> tuple[Plan, Assembly]:
        token = os.urandom(8).hex()
        helper = FileHelper(self._temporary / token)
        helper.scratch.mkdir(mode=0o700)
        try:
            # It gets ready while the Dockerfile is read.
            await asyncio.to_thread(helper.start)
            plan = await build.plan(helper)
            worker = SnapshotWorker(self._worker_stores, build.job(token, helper), self._locks)
            solver = Solver(
                plan.graph,
                self._cache,
                worker,
                self._clock,
                use_cache=not build.request.no_cache,
            )
            return plan, await build.solve(plan, solver)
        finally:
            helper.stop()
            await asyncio.to_thread(delete_tree, helper.scratch)

    async def _enter(self, assembly: Assembly) -> Image:
        """Put the finished image into the store; FROM alone gives the base image itself."""
        if assembly.image is not None:
            return assembly.image
        sizes = [await self._size(chain) for chain in assembly.chains]
        return self._stores.images.add(assembly.config, assembly.layers, sizes=sizes)

    async def _size(self, chain: str) -> int:
        """Bytes of one layer, unpacked; counted once."""
        known = self._cache.note("size", chain)
        if known is not None:
            return int(known)
        try:
            usage = await asyncio.to_thread(self._stores.snapshots.usage, chain)
        except NotFoundError:
            # A base image whose own layers were never needed here.
            return 0
        self._cache.take_note("size", chain, str(usage.size))
        return usage.size

    def _clean(self) -> None:
        """Remove what builds left that a crash cut off."""
        for place in self._temporary.iterdir():
            delete_tree(place)
        for key in list(self._stores.snapshots.active()):
            if key.startswith("build-"):
                self._stores.snapshots.remove(key)


def timestamp(nanoseconds: int) -> str:
    """RFC 3339 with nanoseconds, as image documents carry it."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def _tag(text: str) -> str:
    reference = parse_reference(text)
    if reference.digest is not None:
        raise InvalidArgumentError(f"refusing to create a tag with a digest reference: {text}")
    return reference.with_default_tag().familiar()
