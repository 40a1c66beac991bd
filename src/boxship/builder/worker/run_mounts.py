"""`RUN --mount`: what the executor must mount, prepared outside of the container."""

import asyncio
import hashlib
import os
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from boxship.builder.graph.operations import CONTEXT, NOTHING, Exec, ExecMount
from boxship.builder.worker.files.messages import CopyFiles, Locate, TreeFiles, TreeRef
from boxship.builder.worker.setting import Job, Stores
from boxship.builder.worker.sources import Sources
from boxship.errors import InvalidArgumentError, NotFoundError
from boxship.model.mount import Mount


class Prepared(msgspec.Struct, frozen=True):
    """Mounts for the executor, and environment that holds secrets."""

    mounts: tuple[Mount, ...]
    env: tuple[str, ...]


class CacheLocks:
    """One lock for each cache directory that may have one user at a time; shared by all builds."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}

    def of(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())


class RunMounts:
    """Prepares the mounts of commands.

    Read-only binds show the source itself. A bind that may be written, and one of a part of an
    image with several layers, gets a private copy, so that nothing flows back.
    """

    def __init__(self, stores: Stores, job: Job, sources: Sources, locks: CacheLocks) -> None:
        self._stores = stores
        self._job = job
        self._sources = sources
        self._locks = locks
        self._count = 0

    async def prepare(
        self, operation: Exec, chains: tuple[str, ...], held: AsyncExitStack
    ) -> Prepared:
        """Prepare all mounts of an operation; locks are held until `held` is closed.

        Raises:
            InvalidArgumentError: a source does not exist.
            NotFoundError: a required secret was not given.
        """
        mounts: list[Mount] = []
        env: list[str] = []
        for mount in operation.mounts:
            match mount.type:
                case "bind":
                    mounts.append(await self._bind(mount, chains))
                case "cache":
                    mounts.append(await self._cache(mount, chains, held))
                case "tmpfs":
                    mounts.append(_tmpfs(mount))
                case _:
                    self._secret(mount, mounts, env)
        if operation.script:
            mounts.append(self._script(operation))
        return Prepared(tuple(mounts), tuple(env))

    async def _bind(self, mount: ExecMount, chains: tuple[str, ...]) -> Mount:
        tree = await self._sources.tree(mount.input, chains, "RUN --mount")
        if mount.read_only and not tree.ignore:
            if tree.root.type == "bind":
                real = await self._job.helper.text(Locate(tree, mount.source))
                return _bound(Path(tree.root.source) / real, mount.target, "ro")
            if tree.root.type == "overlay" and mount.source == ".":
                return msgspec.structs.replace(tree.root, target=mount.target)
        copied = await self._copied(tree, mount.source, keep_owner=mount.input != CONTEXT)
        return _bound(copied, mount.target, "ro" if mount.read_only else "rw")

    async def _copied(self, tree: TreeRef, path: str, *, keep_owner: bool) -> Path:
        """A private copy of a file or directory."""
        place = self._fresh("copy")
        place.mkdir()
        await self._fill(place, tree, path, keep_owner=keep_owner)
        # A directory's contents are there; a file is there under its own name.
        name = place / os.path.basename(path)  # noqa: PTH119 - a path in the tree, not here
        return name if path != "." and name.is_file() and not name.is_symlink() else place

    async def _fill(self, place: Path, tree: TreeRef, path: str, *, keep_owner: bool) -> None:
        await self._job.helper.text(
            CopyFiles(
                target=Mount("bind", str(place), options=("rbind", "rw")),
                sources=(TreeFiles(tree, path),),
                destination="/",
                owner="",
                keep_owner=keep_owner,
                mode=None,
                excludes=(),
                parents=False,
                unpack=False,
                keyword="RUN --mount",
            )
        )

    async def _cache(
        self, mount: ExecMount, chains: tuple[str, ...], held: AsyncExitStack
    ) -> Mount:
        name = hashlib.sha256(mount.cache.encode()).hexdigest()[:32]
        if mount.sharing != "shared":
            # `private` waits too instead of getting a second directory: the contents are the point.
            await held.enter_async_context(self._locks.of(name))
        place = self._stores.caches / name
        if not place.exists():
            partial = self._stores.caches / f"{name}-{self._job.token}"
            partial.mkdir(parents=True)
            if mount.input != NOTHING:
                tree = await self._sources.tree(mount.input, chains, "RUN --mount")
                await self._fill(partial, tree, mount.source, keep_owner=True)
            os.chown(partial, mount.uid, mount.gid)
            partial.chmod(mount.mode)
            partial.rename(place)
        return _bound(place, mount.target, "ro" if mount.read_only else "rw")

    def _secret(self, mount: ExecMount, mounts: list[Mount], env: list[str]) -> None:
        content = self._job.secrets.get(mount.source)
        if content is None:
            if mount.required:
                raise NotFoundError(
                    f"secret {mount.source}: not found", hint="give it with the build request"
                )
            return
        if mount.variable:
            env.append(f"{mount.variable}={_as_text(content, mount)}")
        if mount.target:
            place = self._file("secret", content, mount.mode)
            os.chown(place, mount.uid, mount.gid)
            mounts.append(_bound(place, mount.target, "ro"))

    def _script(self, operation: Exec) -> Mount:
        place = self._file("script", operation.script.encode(), 0o755)
        return _bound(place, operation.argv[0], "ro")

    def _file(self, label: str, content: bytes, mode: int) -> Path:
        place = self._fresh(label)
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        place.chmod(mode)
        return place

    def _fresh(self, label: str) -> Path:
        self._count += 1
        return self._job.helper.scratch / f"{label}-{self._count}"


def _bound(source: Path, target: str, access: str) -> Mount:
    return Mount("bind", str(source), target, ("rbind", access))


def _tmpfs(mount: ExecMount) -> Mount:
    size = (f"size={mount.size}",) if mount.size else ()
    return Mount("tmpfs", "tmpfs", mount.target, ("nosuid", "nodev", *size))


def _as_text(content: bytes, mount: ExecMount) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"secret {mount.source} is no text: mount it") from error
