"""Carries out operations on snapshots: an active snapshot is changed, packed and committed."""

import asyncio
import hashlib
import os
import threading
from collections.abc import Iterable
from contextlib import AsyncExitStack

from boxship.builder.graph import Operation
from boxship.builder.graph.operations import (
    CONTEXT,
    NOTHING,
    Copy,
    Exec,
    InlineSource,
    MakeDirectory,
    RemoteSource,
    TreeSource,
)
from boxship.builder.request import CommandFailedError
from boxship.builder.solver import Layer, Result
from boxship.builder.worker.executor import ExecutionRequest
from boxship.builder.worker.files import messages
from boxship.builder.worker.files.messages import Pack
from boxship.builder.worker.remote import Fetched, fetch
from boxship.builder.worker.run_mounts import CacheLocks, RunMounts
from boxship.builder.worker.setting import Job, Stores
from boxship.builder.worker.sources import Sources
from boxship.errors import InternalError
from boxship.model.digest import Digest, digest_of
from boxship.model.image import MEDIA_OCI_LAYER_GZIP, Descriptor
from boxship.model.mount import Mount

# What a runtime mounts in every root; it makes these where the image has none.
_RUNTIME_STUBS = ("proc", "sys", "dev", "etc/resolv.conf", "etc/hosts", "etc/hostname")
_PACK_ATTEMPTS = 3


class SnapshotWorker:
    """The solver's worker for one build."""

    def __init__(self, stores: Stores, job: Job, locks: CacheLocks) -> None:
        self._stores = stores
        self._job = job
        self._sources = Sources(stores, job)
        self._mounts = RunMounts(stores, job, self._sources, locks)
        self._fetched: dict[RemoteSource, Fetched] = {}
        self._count = 0

    async def contents(self, operation: Operation, chains: tuple[str, ...]) -> str:
        """See `Worker.contents`."""
        if isinstance(operation, Copy):
            return await self._copied_contents(operation, chains)
        if isinstance(operation, Exec):
            return await self._mounted_contents(operation, chains)
        return ""

    async def execute(
        self, operation: Operation, chains: tuple[str, ...]
    ) -> tuple[str, Layer | None]:
        """See `Worker.execute`."""
        parent = chains[0]
        await self._sources.snapshot(parent)
        self._count += 1
        key = f"build-{self._job.token}-{self._count}"
        snapshots = self._stores.snapshots
        mounts = snapshots.prepare(key, parent or None, volatile=True)
        try:
            stubs = await self._change(operation, chains, mounts)
            layer = await self._pack(key, parent, stubs)
            if layer is None:
                snapshots.remove(key)
                return parent, None
            chain = digest_of(f"{parent} {layer.diff_id}".encode()) if parent else layer.diff_id
            self._job.lease.add(chain)
            snapshots.commit(chain, key)
        except BaseException:
            snapshots.remove(key)
            raise
        return chain, layer

    def present(self, result: Result) -> bool:
        """See `Worker.present`."""
        if result.layer is None:
            return True
        digest = result.layer.descriptor.digest
        self._job.lease.add(result.chain, digest)
        return self._stores.content.has(digest) and self._stores.snapshots.exists(result.chain)

    async def _copied_contents(self, operation: Copy, chains: tuple[str, ...]) -> str:
        found: list[str] = []
        for source in operation.sources:
            if isinstance(source, TreeSource):
                digest = await self._sources.digest(
                    source.input, chains, (source.path,), operation.excludes, operation.keyword
                )
                found.append(digest)
            elif isinstance(source, RemoteSource):
                found.append(source.checksum or (await self._fetch(source)).digest)
        return _joined(found)

    async def _mounted_contents(self, operation: Exec, chains: tuple[str, ...]) -> str:
        found: list[str] = []
        for mount in operation.mounts:
            if mount.type == "bind" and mount.input == CONTEXT:
                digest = await self._sources.digest(
                    CONTEXT, chains, (mount.source,), (), "RUN --mount"
                )
                found.append(digest)
            elif mount.input not in (CONTEXT, NOTHING):
                found.append(chains[mount.input])
        return _joined(found)

    async def _change(
        self, operation: Operation, chains: tuple[str, ...], mounts: tuple[Mount, ...]
    ) -> tuple[str, ...]:
        """Do the operation on the mounted snapshot; returns mount points that may be left."""
        (root,) = mounts
        if isinstance(operation, Copy):
            await self._copy(operation, chains, root)
            return ()
        if isinstance(operation, MakeDirectory):
            await self._job.helper.text(messages.MakeDirectory(root, operation.path))
            return ()
        if isinstance(operation, Exec):
            return await self._run(operation, chains, mounts)
        raise InternalError(f"{type(operation).__name__} cannot be executed")

    async def _copy(self, operation: Copy, chains: tuple[str, ...], root: Mount) -> None:
        sources: list[messages.TreeFiles | messages.InlineFile | messages.FetchedFile] = []
        keep_owner = False
        for source in operation.sources:
            match source:
                case TreeSource():
                    keep_owner = source.input != CONTEXT
                    tree = await self._sources.tree(source.input, chains, operation.keyword)
                    sources.append(messages.TreeFiles(tree, source.path))
                case InlineSource():
                    sources.append(messages.InlineFile(source.name, source.content))
                case RemoteSource():
                    sources.append(await self._remote_file(source, operation))
        await self._job.helper.text(
            messages.CopyFiles(
                target=root,
                sources=tuple(sources),
                destination=operation.destination,
                owner=operation.owner,
                keep_owner=keep_owner,
                mode=operation.mode,
                excludes=operation.excludes,
                parents=operation.parents,
                unpack=operation.unpack,
                keyword=operation.keyword,
            )
        )

    async def _remote_file(self, source: RemoteSource, operation: Copy) -> messages.FetchedFile:
        fetched = await self._fetch(source)
        return messages.FetchedFile(
            fetched.path, source.name, fetched.modified, operation.unpack_remote
        )

    async def _fetch(self, source: RemoteSource) -> Fetched:
        if source not in self._fetched:
            stop = threading.Event()
            directory = self._job.helper.scratch
            try:
                self._fetched[source] = await asyncio.to_thread(
                    fetch, source.url, source.checksum, directory, stop
                )
            finally:
                stop.set()
        return self._fetched[source]

    async def _run(
        self, operation: Exec, chains: tuple[str, ...], mounts: tuple[Mount, ...]
    ) -> tuple[str, ...]:
        async with AsyncExitStack() as held:
            prepared = await self._mounts.prepare(operation, chains, held)
            request = ExecutionRequest(
                id=os.urandom(32).hex(),
                root=mounts,
                argv=operation.argv,
                env=(*operation.env, *operation.unkeyed_env, *prepared.env),
                cwd=operation.cwd,
                user=operation.user,
                network=operation.network,
                mounts=prepared.mounts,
                limits=self._job.limits,
            )
            self._job.announce(request.id)
            code = await self._stores.executor.run(request, self._job.output)
        if code:
            raise CommandFailedError(
                f"The command '{' '.join(operation.argv)}' returned a non-zero code: {code}", code
            )
        return (*_RUNTIME_STUBS, *_inside(mount.target for mount in prepared.mounts))

    async def _pack(self, key: str, parent: str, stubs: tuple[str, ...]) -> Layer | None:
        """Make the layer's blob; leased before collection can see it unused, or made again."""
        lower = self._stores.snapshots.view(parent)[0] if parent else None
        request = Pack(
            upper=str(self._stores.snapshots.upper(key)),
            lower=lower,
            stubs=stubs,
            content=str(self._stores.content_root),
            key=key,
        )
        for _ in range(_PACK_ATTEMPTS):
            packed = await self._job.helper.pack(request)
            if not packed.entries:
                return None
            self._job.lease.add(packed.digest)
            if self._stores.content.has(packed.digest):
                descriptor = Descriptor(MEDIA_OCI_LAYER_GZIP, packed.digest, packed.size)
                return Layer(Digest(packed.diff_id), descriptor)
        raise InternalError(f"layer of {key} was collected as soon as it was written")


def _inside(targets: Iterable[str]) -> list[str]:
    """Mount points in the root itself; those in /dev and the like are on other file systems."""
    outside = ("/dev/", "/proc/", "/sys/")
    return [target.strip("/") for target in targets if not target.startswith(outside)]


def _joined(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if parts else ""
