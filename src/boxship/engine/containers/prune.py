"""container prune: remove what does not run."""

from boxship.engine.containers import listing
from boxship.engine.containers.remove import remove
from boxship.engine.context import Context
from boxship.engine.filters import check_filters, older_than
from boxship.engine.values import Filters, PruneReport
from boxship.errors import ConflictError, NotFoundError

_STOPPED = ("created", "exited", "dead")


async def prune(context: Context, filters: Filters) -> PruneReport:
    """Remove stopped containers that pass; their anonymous volumes stay, as with Docker."""
    check_filters(filters, ("until", "label", "label!"))
    limit = older_than(filters, context.clock())
    labels = {name: values for name, values in filters.items() if name.startswith("label")}
    chosen = [
        container
        for container in listing.select(context, [e.container for e in context.store], labels)
        if container.state.status in _STOPPED and (limit is None or container.created < limit)
    ]
    deleted: list[str] = []
    reclaimed = 0
    for container in chosen:
        size = (await listing.measure(context, container)).written
        try:
            await remove(context, context.store.find(container.id), force=False, volumes=False)
        except (ConflictError, NotFoundError):
            # It was started, or removed by somebody else, meanwhile.
            continue
        deleted.append(container.id)
        reclaimed += size
    context.events.emit("container", "prune", "", {"reclaimed": str(reclaimed)})
    return PruneReport(tuple(deleted), reclaimed)
