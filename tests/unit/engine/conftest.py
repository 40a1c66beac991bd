"""An engine over real stores and over stand-ins for processes and networks."""

import asyncio
import importlib.util
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from boxship.engine.engine import Engine, Parts
from boxship.engine.events import EventBus
from boxship.engine.exit_relay import ExitRelay
from boxship.engine.values import ListQuery
from boxship.image import ImageService
from boxship.model.container import Container, ContainerConfig, HostConfig
from boxship.model.image import MEDIA_OCI_LAYER, Descriptor, ImageConfig, ImageRunConfig, RootFs
from boxship.model.platform import host_platform
from boxship.model.reference import parse_reference
from boxship.paths import Paths
from boxship.storage.content.store import ContentStore
from boxship.storage.records.database import Database
from boxship.storage.snapshots.store import SnapshotStore
from boxship.volume import VolumeService

_SPEC = importlib.util.spec_from_file_location(
    "engine_parts", Path(__file__).parents[2] / "fakes" / "engine_parts.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
fakes = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fakes)

IMAGE = "app"


class Bench:
    """An engine and the parts a test plays with."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root / "data", root / "exec")
        self.database = Database(self.paths.database)
        self.snapshots = SnapshotStore(self.paths.snapshots)
        content = ContentStore(self.paths.content)
        self.images = ImageService(content, self.snapshots, self.database)
        self.volumes = VolumeService(self.database, self.paths.volumes)
        self.networks = fakes.FakeNetworks()
        self.exits = ExitRelay()
        self.supervisor = fakes.FakeSupervisor(self.exits, time.time_ns)
        self.engine = self.new_engine()
        self._add_image(content)

    def _add_image(self, content: ContentStore) -> None:
        """An image of one empty layer, unpacked already."""
        layer = content.write(b"")
        self.snapshots.stage(layer, None).commit()
        host = host_platform()
        config = ImageConfig(
            host.architecture,
            host.os,
            RootFs("layers", (layer,)),
            config=ImageRunConfig(cmd=("run",)),
        )
        layers = (Descriptor(MEDIA_OCI_LAYER, layer, 0),)
        self.images.add(config, layers, (parse_reference(IMAGE),), sizes=(0,))

    def new_engine(self) -> Engine:
        """Another daemon over the same stores."""
        self.exits = ExitRelay()
        self.supervisor._on_exit = self.exits
        parts: Any = Parts(
            paths=self.paths,
            database=self.database,
            snapshots=self.snapshots,
            images=self.images,
            networks=self.networks,
            volumes=self.volumes,
            builder=None,  # type: ignore[arg-type]
            supervisor=self.supervisor,
            exits=self.exits,
            events=EventBus(time.time_ns),
            clock=time.time_ns,
        )
        self.engine = Engine(parts)
        return self.engine

    async def create(
        self, *, config: Any = None, name: str | None = None, **host: Any
    ) -> Container:
        made = await self.engine.containers.create(
            name, ContainerConfig(IMAGE, **(config or {})), HostConfig(**host)
        )
        return made.container

    async def start(self, **options: Any) -> Container:
        container = await self.create(**options)
        await self.engine.containers.start(container.id)
        return self.engine.containers.inspect(container.id)

    async def names(self) -> list[str]:
        found = await self.engine.containers.list(ListQuery(all=True))
        return [one.container.name for one in found]

    async def close(self) -> None:
        await self.engine.close()
        await self.images.close()
        self.volumes.close()
        self.snapshots.close()
        self.database.close()
        for peer in self.supervisor.peers:
            peer.close()


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[[Callable[[Bench], Awaitable[None]]], None]:
    """Run a coroutine with an engine over stand-ins."""

    def run(work: Callable[[Bench], Awaitable[None]]) -> None:
        async def within() -> None:
            bench = Bench(tmp_path)
            try:
                async with asyncio.timeout(10):
                    await bench.engine.recover()
                    await work(bench)
            finally:
                await bench.close()

        asyncio.run(within())

    return run
