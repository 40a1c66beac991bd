"""Builds as the API sees them."""

from collections.abc import Callable
from typing import Protocol

from boxship.builder import BuildEvent, BuildRequest
from boxship.engine.context import Context
from boxship.engine.filters import check_filters, older_than
from boxship.engine.values import Filters, PruneReport
from boxship.model.image import Image


class Builder(Protocol):
    """What the engine needs of the builder."""

    async def build(self, request: BuildRequest, output: Callable[[BuildEvent], None]) -> Image: ...

    async def prune(self, unused_since: int | None = None) -> int:
        """Empty the cache of what was not used since a time; the bytes that gave."""
        ...

    def cache_size(self) -> int:
        """Bytes of the cache."""
        ...


class BuildFacade:
    """See `facade.Builds` for what each method means and raises."""

    def __init__(self, context: Context, builder: Builder) -> None:
        self._context = context
        self._builder = builder

    async def build(self, request: BuildRequest, output: Callable[[BuildEvent], None]) -> Image:
        return await self._builder.build(request, output)

    async def prune(self, filters: Filters) -> PruneReport:
        check_filters(filters, ("all", "until", "id", "label", "type"))
        limit = older_than(filters, self._context.clock())
        return PruneReport((), await self._builder.prune(limit))

    def cache_size(self) -> int:
        """Bytes that the build cache takes."""
        return self._builder.cache_size()
