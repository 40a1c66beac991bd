"""What the verbs of the engine work with, handed to each of them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from boxship.engine.containers.store import ContainerStore, Entry
from boxship.engine.events import EventBus
from boxship.engine.sandboxes.ranges import IdRanges
from boxship.engine.settings import EngineSettings
from boxship.image import ImageService
from boxship.network import NetworkService
from boxship.paths import Paths
from boxship.runtime.supervisor import Supervisor
from boxship.storage.snapshots.store import SnapshotStore
from boxship.storage.trees import Trash
from boxship.volume import VolumeService


@dataclass(frozen=True, slots=True)
class Context:
    """The services and state of one engine.

    Attributes:
        clock: nanoseconds since the epoch.
        trash: where containers' directories go; on their file system.
        transaction: all records written in its block are written, or none.
    """

    settings: EngineSettings
    paths: Paths
    clock: Callable[[], int]
    store: ContainerStore
    events: EventBus
    supervisor: Supervisor
    snapshots: SnapshotStore
    images: ImageService
    networks: NetworkService
    volumes: VolumeService
    trash: Trash
    transaction: Callable[[], AbstractContextManager[None]]
    ranges: IdRanges

    def tell(self, entry: Entry, action: str, **attributes: str) -> None:
        """Publish an event of a container, with the attributes that all of them carry."""
        container = entry.container
        common = {
            **container.config.labels,
            "image": container.config.image,
            "name": container.name,
        }
        self.events.emit("container", action, container.id, {**common, **attributes})
