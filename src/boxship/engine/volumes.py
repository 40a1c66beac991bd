"""Volumes as the API sees them: the volume service, its events, and who uses what."""

import asyncio

from boxship.engine.containers.remove import users_of_volume
from boxship.engine.context import Context
from boxship.engine.filters import check_filters, has_labels, is_true
from boxship.engine.values import Filters, PruneReport
from boxship.errors import NotFoundError
from boxship.model.volume import Volume

_FILTERS = ("name", "driver", "label", "label!", "dangling")


class VolumeFacade:
    """See `facade.Volumes` for what each method means and raises."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(
        self,
        name: str,
        driver: str = "local",
        labels: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
    ) -> Volume:
        known = name and self._exists(name)
        volume = self._context.volumes.create(name, driver, labels, options)
        if not known:
            self._tell("create", volume)
        return volume

    def get(self, name: str) -> Volume:
        return self._context.volumes.get(name)

    def list(self, filters: Filters) -> tuple[Volume, ...]:
        check_filters(filters, _FILTERS)
        return tuple(one for one in self._context.volumes.list() if self._passes(one, filters))

    async def remove(self, name: str, *, force: bool = False) -> None:
        users = users_of_volume(self._context, name)
        volume = self._context.volumes.remove(name, users, force=force)
        if volume is not None:
            self._tell("destroy", volume)

    async def prune(self, filters: Filters) -> PruneReport:
        check_filters(filters, ("all", "label", "label!"))
        everything = is_true(filters.get("all", ()))
        used = {mount.name for entry in self._context.store for mount in entry.container.mounts}

        def doomed(volume: Volume) -> bool:
            return (everything or volume.anonymous) and has_labels(volume.labels, filters)

        gone, space = await asyncio.to_thread(self._context.volumes.prune, used, doomed)
        for volume in gone:
            self._tell("destroy", volume)
        self._context.events.emit("volume", "prune", "", {"reclaimed": str(space)})
        return PruneReport(tuple(volume.name for volume in gone), space)

    def _exists(self, name: str) -> bool:
        try:
            self._context.volumes.get(name)
        except NotFoundError:
            return False
        return True

    def _passes(self, volume: Volume, filters: Filters) -> bool:
        names = filters.get("name", ())
        drivers = filters.get("driver", ())
        dangling = filters.get("dangling", ())
        if names and not any(value in volume.name for value in names):
            return False
        if drivers and volume.driver not in drivers:
            return False
        if dangling:
            used = bool(users_of_volume(self._context, volume.name))
            if used == is_true(dangling):
                return False
        return has_labels(volume.labels, filters)

    def _tell(self, action: str, volume: Volume) -> None:
        self._context.events.emit("volume", action, volume.name, {"driver": volume.driver})
