"""Two engines' image services, images to move between them, and registries in between."""

import asyncio
import importlib.util
import io
import tarfile
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from boxship.image import ImageService, Import, Progress
from boxship.model.image import Image, ImageRunConfig
from boxship.model.reference import parse_reference
from boxship.registry.settings import RegistrySettings
from boxship.storage.content.store import ContentStore
from boxship.storage.records.database import Database
from boxship.storage.snapshots.store import SnapshotStore

_spec = importlib.util.spec_from_file_location(
    "registries", Path(__file__).parents[2] / "fakes" / "registries.py"
)
assert _spec is not None
assert _spec.loader is not None
registries = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(registries)
debian_registry = registries.debian_registry
scripted = registries.scripted


class Host:
    """One engine's stores and image service, driven from synchronous tests."""

    def __init__(self, root: Path) -> None:
        self.content = ContentStore(root / "content")
        self.snapshots = SnapshotStore(root / "snapshots")
        self.database = Database(root / "boxship.db")
        self.events: list[tuple[str, str]] = []
        self.progress: list[Progress] = []
        self.images = self._service()

    def _service(self) -> ImageService:
        return ImageService(
            self.content,
            self.snapshots,
            self.database,
            RegistrySettings(backoff=0.001, attempts=3, timeout=10),
            self._heard,
        )

    def restart(self) -> None:
        """What a new process would know: only what is on disk."""
        self.run(self.images.close())
        self.images = self._service()

    def _heard(self, action: str, actor: str, _attributes: Mapping[str, str]) -> None:
        self.events.append((action, actor))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(work)

    def pull(self, reference: str, **options: Any) -> Image:
        self.progress.clear()
        return self.run(self.images.pull(reference, progress=self.progress.append, **options))

    def push(self, reference: str) -> None:
        self.progress.clear()
        self.run(self.images.push(reference, progress=self.progress.append))

    def load(self, data: bytes) -> tuple[Image, ...]:
        self.progress.clear()
        return self.run(self.images.load(io.BytesIO(data), self.progress.append))

    def save(self, *names: str) -> bytes:
        out = io.BytesIO()
        self.run(self.images.save(names, out))
        return out.getvalue()

    def remove(self, name: str, **options: Any) -> Any:
        """Remove, and wait until garbage is collected."""

        async def work() -> Any:
            removed = self.images.remove(name, **{"in_use": lambda _: (), **options})
            await self.images.collect()
            return removed

        return self.run(work())

    def image(self, name: str, files: Mapping[str, bytes], **config: Any) -> Image:
        """Import an image of one layer with these files."""
        wanted = Import((parse_reference(name).with_default_tag(),), ImageRunConfig(**config))
        return self.run(self.images.import_(io.BytesIO(pack(files)), wanted))

    def lines(self) -> list[tuple[str, str]]:
        """Progress without the figures of transfers."""
        quiet = ("Downloading", "Pushing")
        return [(p.status, p.id) for p in self.progress if p.status and p.status not in quiet]

    def leftovers(self) -> tuple[list[str], list[str]]:
        """Blobs and snapshots in the stores."""
        blobs = sorted(str(digest) for digest, _ in self.content.walk())
        return blobs, sorted(name for name, _ in self.snapshots.walk())

    def close(self) -> None:
        self.run(self.images.close())
        self.snapshots.close()
        self.database.close()


def pack(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Make hosts, each with stores of its own."""
    made: list[Host] = []

    def make() -> Host:
        made.append(Host(tmp_path / f"host{len(made)}"))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def one(host: Callable[..., Host]) -> Host:
    return host()


@pytest.fixture
def two(host: Callable[..., Host]) -> Host:
    return host()


@pytest.fixture
def tarball() -> Callable[[Mapping[str, bytes]], bytes]:
    """Make a tar archive of these files."""
    return pack
