"""What there is to say about images: history and disk use."""

from collections.abc import Sequence

import msgspec

from boxship.image.documents import chain_ids
from boxship.image.store import ImageStore
from boxship.model.image import History, Image


class HistoryEntry(msgspec.Struct, frozen=True):
    """One step of an image's making, newest first in a listing.

    Attributes:
        id: the image's id for the newest step, else empty.
        size: bytes that the step added.
        tags: names of the image, for the newest step.
    """

    history: History
    id: str = ""
    size: int = 0
    tags: tuple[str, ...] = ()


class ImageUsage(msgspec.Struct, frozen=True):
    """Disk use of one image in bytes: its layers, and the part other images share."""

    image: Image
    size: int
    shared: int

    @property
    def unique(self) -> int:
        return self.size - self.shared


class Usage(msgspec.Struct, frozen=True):
    """Disk use of all images; `layers_size` counts every layer once."""

    images: tuple[ImageUsage, ...]
    layers_size: int


def history(store: ImageStore, image: Image) -> tuple[HistoryEntry, ...]:
    """How an image was made, newest step first."""
    sizes = list(store.record(image.id).layer_sizes)
    steps = image.config.history
    if not steps:
        # No history was written: show its layers at least.
        steps = tuple(History(created=image.config.created) for _ in sizes)
    entries = []
    for step in steps:
        size = 0 if step.empty_layer or not sizes else sizes.pop(0)
        entries.append(HistoryEntry(step, size=size))
    if entries:
        entries[-1] = msgspec.structs.replace(entries[-1], id=image.id, tags=image.tags)
    return tuple(reversed(entries))


def usage(store: ImageStore, images: Sequence[Image]) -> Usage:
    """What images take on disk."""
    sizes = store.layer_sizes()
    users: dict[str, int] = {}
    for image in images:
        for chain in set(chain_ids(image.config)):
            users[chain] = users.get(chain, 0) + 1
    rows = []
    for image in images:
        chains = chain_ids(image.config)
        shared = sum(sizes.get(chain, 0) for chain in chains if users[chain] > 1)
        rows.append(ImageUsage(image, sum(sizes.get(chain, 0) for chain in chains), shared))
    return Usage(tuple(rows), sum(sizes.get(chain, 0) for chain in users))
