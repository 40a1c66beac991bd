"""A workshop: stores, a busybox base image, and a build service driven from synchronous tests."""

import asyncio
import importlib.util
import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from boxship.builder.request import BuildEvent, BuildRequest
from boxship.builder.service import BuildService, BuildStores
from boxship.image.service import ImageService
from boxship.model.image import Image
from boxship.storage.content.store import ContentStore
from boxship.storage.records.database import Database
from boxship.storage.records.records import Records
from boxship.storage.snapshots.store import SnapshotStore

_spec = importlib.util.spec_from_file_location(
    "chroot_executor", Path(__file__).parents[2] / "fakes" / "chroot_executor.py"
)
assert _spec is not None
assert _spec.loader is not None
chroot_executor = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(chroot_executor)


class Workshop:
    """Builds in one data directory.

    Attributes:
        context: the build context, to be filled by the test.
        events: what the last build told.
        packed: give the context as a tar file.
        clock: nanoseconds since the epoch, a second later at each look.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.context = root / "context"
        self.context.mkdir()
        self.content = ContentStore(root / "content")
        self.snapshots = SnapshotStore(root / "snapshots")
        self.database = Database(root / "boxship.db")
        self.images = ImageService(self.content, self.snapshots, self.database)
        self.executor = chroot_executor.ChrootExecutor()
        self.clock = itertools.count(1_700_000_000 * 10**9, 10**9)
        self.events: list[BuildEvent] = []
        self.packed = False
        self.service = self.open()

    def open(self) -> BuildService:
        """The service as a new daemon would make it."""
        stores = BuildStores(
            images=self.images,
            content=self.content,
            content_root=self.root / "content",
            snapshots=self.snapshots,
            records=Records(self.database, "build_cache"),
        )
        return BuildService(stores, self.executor, self.root / "builder", lambda: next(self.clock))

    def write(self, path: str, text: str = "text", mode: int = 0o644) -> Path:
        place = self.context / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)
        return place

    def pack(self) -> Path:
        """The context as a client sends it."""
        place = self.root / "context.tar"
        options = ("--xattrs", "--format=pax", "-C", str(self.context), "-cf", str(place), ".")
        subprocess.run(["tar", *options], check=True)
        return place

    def build(self, text: str | None, **fields: Any) -> Image:
        context = self.pack() if self.packed else self.context
        request = BuildRequest(context=context, dockerfile_text=text)
        self.events = []
        request = msgspec.structs.replace(request, **fields)
        return asyncio.run(self.service.build(request, self.events.append))

    @property
    def told(self) -> str:
        """All the text of the last build."""
        return "".join(event.text for event in self.events)

    @property
    def cached(self) -> int:
        return self.told.count("---> Using cache")

    def layers(self, image: Image) -> list[list[str]]:
        """Names in each layer of an image, from the base up."""
        found: list[list[str]] = []
        for descriptor in image.manifest.layers:
            listing = subprocess.run(
                ["tar", "-tzf", str(self.content.path(descriptor.digest))],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            names = (name.removeprefix("./").rstrip("/") for name in listing.splitlines())
            found.append([name for name in names if name])
        return found

    def leftovers(self) -> list[str]:
        """What a build must not leave."""
        temporary = [path.name for path in (self.root / "builder" / "tmp").iterdir()]
        return [*self.snapshots.active(), *temporary]

    def close(self) -> None:
        asyncio.run(self.images.close())
        self.snapshots.close()
        self.database.close()


@pytest.fixture(scope="session")
def base_archive(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Workshop], None]:
    """Loads a busybox image, made once, into a workshop."""
    root = tmp_path_factory.mktemp("base")
    maker = Workshop(root)
    asyncio.run(maker.images.bootstrap("busybox"))
    archive = root / "busybox.tar"
    with archive.open("wb") as out:
        asyncio.run(maker.images.save(["busybox"], out))
    maker.close()

    def load(workshop: Workshop) -> None:
        with archive.open("rb") as stream:
            asyncio.run(workshop.images.load(stream))

    return load


@pytest.fixture
def workshop(tmp_path: Path, base_archive: Callable[[Workshop], None]) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    base_archive(made)
    yield made
    assert made.leftovers() == []
    made.close()
