"""What every verb of the image service works with."""

from collections.abc import Callable, Mapping

import msgspec

from boxship.image.store import ImageStore
from boxship.image.workers import Workers
from boxship.registry.settings import RegistrySettings
from boxship.storage.content.store import ContentStore
from boxship.storage.gc import Leases
from boxship.storage.snapshots.store import SnapshotStore

OnEvent = Callable[[str, str, Mapping[str, str]], None]


class Context(msgspec.Struct, frozen=True):
    """The stores, the threads and the outlets of one image service.

    Attributes:
        tell: told of every event: action, actor id, attributes.
        clock: nanoseconds since the epoch.
    """

    content: ContentStore
    snapshots: SnapshotStore
    images: ImageStore
    leases: Leases
    workers: Workers
    settings: RegistrySettings
    tell: OnEvent
    clock: Callable[[], int]
