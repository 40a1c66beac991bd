"""What images keep alive, and clearing away what nothing does."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

from boxship.image.context import Context
from boxship.image.documents import chain_ids
from boxship.model.digest import Digest
from boxship.storage.gc import Collected, Roots, collect

Holder = Callable[[], Roots]


def collect_garbage(
    context: Context,
    holders: Iterable[Holder],
    *,
    min_age: float = 0,
    among: AbstractSet[str] | None = None,
) -> Collected:
    """Delete blobs and snapshots that no image, holder, container or lease needs; see `collect`."""
    return collect(
        context.content,
        context.snapshots,
        context.leases,
        lambda: _roots(context, holders),
        min_age=min_age,
        among=among,
    )


def _roots(context: Context, holders: Iterable[Holder]) -> Roots:
    blobs = set[Digest]()
    snapshots = set[str]()
    for image in context.images.all():
        blobs |= {image.id, image.target.digest}
        blobs.update(layer.digest for layer in image.manifest.layers)
        snapshots.update(chain_ids(image.config))
    for holder in holders:
        held = holder()
        blobs |= held.blobs
        snapshots |= held.snapshots
    return Roots(frozenset(blobs), frozenset(snapshots))
