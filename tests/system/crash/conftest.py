"""Hosts for daemons that are to be killed."""

import asyncio
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from boxship.image import ImageService
from boxship.storage.content.store import ContentStore
from boxship.storage.records.database import Database
from boxship.storage.snapshots.store import SnapshotStore

_spec = importlib.util.spec_from_file_location("host", Path(__file__).with_name("host.py"))
assert _spec is not None
assert _spec.loader is not None
host_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(host_module)
Host = host_module.Host


@pytest.fixture
def refused() -> type[Exception]:
    """The exception of an answer that is an error."""
    return host_module.Refused


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the busybox image in it."""
    root = tmp_path_factory.mktemp("template")
    content, snapshots = ContentStore(root / "content"), SnapshotStore(root / "snapshots")
    database = Database(root / "boxship.db")
    images = ImageService(content, snapshots, database)

    async def fill() -> None:
        image = await images.bootstrap("busybox")
        await images.ensure_unpacked(image)
        await images.close()

    asyncio.run(fill())
    snapshots.close()
    database.close()
    return root


@pytest.fixture
def empty_host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Make hosts; nothing is on them yet."""
    made: list[Host] = []

    def make(template: Path | None = None) -> Host:
        made.append(Host(tmp_path / f"h{len(made)}", template))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def host(template: Path, empty_host: Callable[..., Host]) -> Host:
    """A host with a daemon that serves, and the busybox image."""
    one = empty_host(template)
    one.start()
    return one
