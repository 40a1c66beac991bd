"""What the workers of all builds share, and what one build gives its worker."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec

from boxship.builder.solver import BuildCache
from boxship.builder.worker.executor import Executor, Limits
from boxship.builder.worker.helper import FileHelper
from boxship.model.digest import Digest
from boxship.model.image import Image
from boxship.model.mount import Mount
from boxship.storage.content.store import ContentStore
from boxship.storage.gc import Lease
from boxship.storage.snapshots.store import SnapshotStore


class Stores(msgspec.Struct, frozen=True):
    """The stores a worker reads and fills.

    Attributes:
        content_root: directory of the content store, for the helper process.
        caches: directory of `RUN --mount=type=cache`.
        unpack: makes an image's snapshots; see `ImageService.ensure_unpacked`.
    """

    content: ContentStore
    content_root: Path
    snapshots: SnapshotStore
    cache: BuildCache
    caches: Path
    executor: Executor
    unpack: Callable[[Image], Awaitable[str]]


class Job(msgspec.Struct, frozen=True):
    """One build, as its worker sees it.

    Attributes:
        token: begins the names of everything temporary.
        context: root of the build context for the file helper, None without one.
        ignore: patterns of its `.dockerignore`.
        images: base images by id.
        output: called with the stream's name and what a command wrote.
        announce: called with a command's container id before it runs.
    """

    token: str
    helper: FileHelper
    lease: Lease
    context: Mount | None
    ignore: tuple[str, ...]
    secrets: Mapping[str, bytes]
    limits: Limits
    images: Mapping[Digest, Image]
    output: Callable[[str, bytes], None]
    announce: Callable[[str], None]
