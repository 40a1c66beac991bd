"""Where operations read from: the context and other file systems, as the helper sees them."""

import hashlib

from boxship.builder.graph.operations import CONTEXT
from boxship.builder.worker.files.messages import Hash, TreeRef
from boxship.builder.worker.setting import Job, Stores
from boxship.errors import InvalidArgumentError
from boxship.model.digest import chain_id
from boxship.model.mount import Mount

_HERE = ("rbind", "ro")


class Sources:
    """Trees by an operation's input number, and digests of what is in them."""

    def __init__(self, stores: Stores, job: Job) -> None:
        self._stores = stores
        self._job = job
        self._images = {
            str(chain_id(image.config.rootfs.diff_ids)): image
            for image in job.images.values()
            if image.config.rootfs.diff_ids
        }

    async def snapshot(self, chain: str) -> None:
        """Make sure a committed snapshot exists: base images are unpacked when first needed."""
        if chain and not self._stores.snapshots.exists(chain):
            image = self._images.get(chain)
            if image is not None:
                await self._stores.unpack(image)

    def context(self, keyword: str) -> TreeRef:
        """The build context.

        Raises:
            InvalidArgumentError: this build has none.
        """
        if self._job.context is None:
            raise InvalidArgumentError(
                f"{keyword} failed: there is no build context",
                hint="build from a directory instead of a lone Dockerfile",
            )
        what = f"{keyword} failed: file not found in build context or excluded by .dockerignore: "
        return TreeRef(self._job.context, self._job.ignore, what)

    async def tree(self, place: int, chains: tuple[str, ...], keyword: str) -> TreeRef:
        """The tree of an input: the context or another vertex's file system."""
        if place == CONTEXT:
            return self.context(keyword)
        chain = chains[place]
        what = f"{keyword} failed: "
        if not chain:
            empty = self._job.helper.scratch / "empty"
            empty.mkdir(exist_ok=True)
            return TreeRef(Mount("bind", str(empty), options=_HERE), (), what)
        await self.snapshot(chain)
        (root,) = self._stores.snapshots.view(chain)
        return TreeRef(root, (), what)

    async def digest(
        self,
        place: int,
        chains: tuple[str, ...],
        paths: tuple[str, ...],
        excludes: tuple[str, ...],
        keyword: str,
    ) -> str:
        """Digest of paths of an input; for committed snapshots it is computed once for ever."""
        if place == CONTEXT:
            request = Hash(self.context(keyword), paths, excludes, owners=False)
            return await self._job.helper.text(request)
        about = "\0".join((chains[place], *paths, "", *excludes))
        key = hashlib.sha256(about.encode()).hexdigest()
        known = self._stores.cache.note("files", key)
        if known is None:
            tree = await self.tree(place, chains, keyword)
            known = await self._job.helper.text(Hash(tree, paths, excludes, owners=True))
            self._stores.cache.take_note("files", key, known)
        return known
