"""The engine: its services, wired to what they stand on."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from boxship import log
from boxship.engine.builds import Builder, BuildFacade
from boxship.engine.containers.exits import container_exited
from boxship.engine.containers.service import ContainerService
from boxship.engine.containers.store import ContainerStore
from boxship.engine.context import Context
from boxship.engine.events import EventBus
from boxship.engine.execs import ExecService
from boxship.engine.exit_relay import ExitRelay
from boxship.engine.images import ImageFacade
from boxship.engine.networks import NetworkFacade
from boxship.engine.recover import recover, shut_down
from boxship.engine.sandboxes.ranges import IdRanges
from boxship.engine.settings import EngineSettings
from boxship.engine.system import SystemFacade
from boxship.engine.volumes import VolumeFacade
from boxship.image import ImageService
from boxship.network.service import NetworkService
from boxship.paths import Paths
from boxship.runtime.keeper.messages import Exit
from boxship.runtime.supervisor import Supervisor
from boxship.storage.records.database import Database
from boxship.storage.records.records import Records
from boxship.storage.snapshots.store import SnapshotStore
from boxship.storage.trees import Trash
from boxship.volume import VolumeService


@dataclass(frozen=True, slots=True)
class Parts:
    """What an engine is made of; all started, nothing adopted yet.

    Attributes:
        exits: what `supervisor` was given as its `on_exit`.
        events: what `images` was given for its events.
        clock: nanoseconds since the epoch.
        ranges: of host ids, for user namespaces.
    """

    paths: Paths
    database: Database
    snapshots: SnapshotStore
    images: ImageService
    networks: NetworkService
    volumes: VolumeService
    builder: Builder
    supervisor: Supervisor
    exits: ExitRelay
    events: EventBus
    clock: Callable[[], int]
    ranges: IdRanges = field(default_factory=IdRanges)


class Engine:
    """One engine; see `facade.EngineFacade` for what the services mean.

    Life cycle: make it, `recover`, serve, `close`. Containers outlive it.
    """

    def __init__(self, parts: Parts, settings: EngineSettings | None = None) -> None:
        self._context = context = Context(
            settings=settings or EngineSettings(),
            paths=parts.paths,
            clock=parts.clock,
            store=ContainerStore(Records(parts.database, "containers")),
            events=parts.events,
            supervisor=parts.supervisor,
            snapshots=parts.snapshots,
            images=parts.images,
            networks=parts.networks,
            volumes=parts.volumes,
            trash=Trash(parts.paths.data_root / "trash"),
            transaction=parts.database.transaction,
            ranges=parts.ranges,
        )
        self._exits = parts.exits
        self._settling: set[asyncio.Task[None]] = set()
        self.events = parts.events
        self.containers = ContainerService(context)
        self.execs = ExecService(context)
        self.images = ImageFacade(context)
        self.networks = NetworkFacade(context)
        self.volumes = VolumeFacade(context)
        self.builds = BuildFacade(context, parts.builder)
        self.system = SystemFacade(context, self.images, self.builds.cache_size)

    async def recover(self) -> None:
        """Adopt what runs, settle what was cut short, then listen to the keeper.

        Raises:
            UnavailableError: the keeper does not answer.
        """
        await recover(self._context)
        self._exits.forward_to(self._exited)

    async def close(self) -> None:
        """Let go; containers run on. The parts are closed by whoever made them."""
        await shut_down(self._context)
        await asyncio.gather(*self._settling, return_exceptions=True)
        self._context.trash.close()

    def _exited(self, ended: Exit) -> None:
        if ended.exec_id is not None:
            self.execs.ended(ended)
            return
        entry = self._context.store.get(ended.container_id)
        if entry is not None:
            work = container_exited(self._context, entry, ended)
            task = log.create_task(work, f"exit of {entry.id[:12]}")
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)
