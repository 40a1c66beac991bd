"""Images as the API sees them: the image service, filters, and which containers use what."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import BinaryIO

import msgspec

from boxship.engine.context import Context
from boxship.engine.filters import check_filters, has_labels, is_true, older_than
from boxship.engine.image_changes import apply_changes
from boxship.engine.values import Filters, PruneReport
from boxship.image import (
    HistoryEntry,
    ImageUser,
    Import,
    Progress,
    PruneRequest,
    Removed,
    created_at,
)
from boxship.image.progress import Report
from boxship.model.digest import Digest
from boxship.model.image import Image, ImageRunConfig
from boxship.model.platform import Platform
from boxship.model.reference import parse_reference
from boxship.model.registry import Credentials

_FILTERS = (
    "before",
    "dangling",
    "label",
    "label!",
    "reference",
    "since",
    "until",
    "containers",
)

__all__ = ["ImageFacade", "Progress"]


class ImageFacade:
    """See `facade.Images` for what each method means and raises."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._images = context.images

    def get(self, name: str) -> Image:
        return self._images.resolve(name)

    def users(self, image_id: Digest) -> list[ImageUser]:
        """Containers made from an image."""
        return [
            ImageUser(entry.id, entry.container.state.running)
            for entry in self._context.store
            if entry.container.image_id == image_id
        ]

    def list(self, filters: Filters, *, all: bool = False) -> tuple[Image, ...]:  # noqa: A002 - intermediate images are not kept
        check_filters(filters, _FILTERS)
        limit = older_than(filters, self._context.clock())
        patterns = filters.get("reference", ())
        return tuple(
            _named_by(image, patterns) if patterns else image
            for image in self._images.list()
            if self._passes(image, filters) and (limit is None or created_at(image) < limit)
        )

    def history(self, name: str) -> tuple[HistoryEntry, ...]:
        return self._images.history(name)

    def tag(self, source: str, target: str) -> None:
        self._images.tag(source, target)

    async def remove(
        self, name: str, *, force: bool = False, no_prune: bool = False
    ) -> tuple[Removed, ...]:
        return self._images.remove(name, force=force, no_prune=no_prune, in_use=self.users)

    async def pull(
        self,
        reference: str,
        platform: Platform | None,
        credentials: Credentials | None,
        progress: Report,
    ) -> Image:
        return await self._images.pull(reference, platform, credentials, progress)

    async def push(self, reference: str, credentials: Credentials | None, progress: Report) -> None:
        await self._images.push(reference, credentials, progress)

    async def load(self, stream: BinaryIO, progress: Report) -> tuple[Image, ...]:
        return await self._images.load(stream, progress)

    async def save(self, names: Sequence[str], out: BinaryIO) -> None:
        await self._images.save(names, out)

    async def import_(
        self, stream: BinaryIO, reference: str, changes: Sequence[str], message: str
    ) -> Image:
        refs = (parse_reference(reference).with_default_tag(),) if reference else ()
        wanted = Import(
            refs, apply_changes(ImageRunConfig(), changes), message or "Imported from -"
        )
        return await self._images.import_(stream, wanted)

    async def bootstrap(self, name: str, progress: Report) -> Image:
        return await self._images.bootstrap(name, progress)

    async def prune(self, filters: Filters) -> PruneReport:
        check_filters(filters, ("dangling", "until", "label", "label!"))
        request = PruneRequest(
            all="dangling" in filters and not is_true(filters["dangling"]),
            until=older_than(filters, self._context.clock()) or 0,
            labels=_pairs(filters.get("label", ())),
            not_labels=_pairs(filters.get("label!", ())),
        )
        removed, space = await self._images.prune(request, self.users)
        self._context.events.emit("image", "prune", "", {"reclaimed": str(space)})
        return PruneReport(tuple(one.deleted or one.untagged for one in removed), space)

    def layers_size(self) -> int:
        """Bytes of all layers, each counted once."""
        return self._images.usage().layers_size

    async def login(self, credentials: Credentials) -> str:
        return (await self._images.login(credentials)).identity_token

    def _passes(self, image: Image, filters: Filters) -> bool:
        dangling = filters.get("dangling", ())
        if dangling and is_true(dangling) == bool(image.tags):
            return False
        patterns = filters.get("reference", ())
        if patterns and not any(_matches(image, pattern) for pattern in patterns):
            return False
        made = created_at(image)
        before = [created_at(self.get(name)) for name in filters.get("before", ())]
        since = [created_at(self.get(name)) for name in filters.get("since", ())]
        if any(made >= limit for limit in before) or any(made <= limit for limit in since):
            return False
        return has_labels(image.config.config.labels, filters)


def _named_by(image: Image, patterns: Sequence[str]) -> Image:
    """The image under those of its names that fit, as Docker lists it."""
    tags = tuple(tag for tag in image.tags if any(_names(tag, one) for one in patterns))
    return msgspec.structs.replace(image, tags=tags)


def _matches(image: Image, pattern: str) -> bool:
    return any(_names(tag, pattern) for tag in image.tags)


def _names(tag: str, pattern: str) -> bool:
    """Whether a name fits a pattern (`debian*`, `*:latest`, `user/*`)."""
    return _fits(tag, pattern) or _fits(_repository(tag), pattern)


def _fits(name: str, pattern: str) -> bool:
    """Shell pattern over the parts between slashes, as Go's path.Match."""
    names, patterns = name.split("/"), pattern.split("/")
    if len(names) != len(patterns):
        return False
    return all(fnmatchcase(part, wanted) for part, wanted in zip(names, patterns, strict=True))


def _repository(tag: str) -> str:
    head, colon, tail = tag.rpartition(":")
    return head if colon and "/" not in tail else tag


def _pairs(values: tuple[str, ...]) -> dict[str, str]:
    return dict(value.partition("=")[::2] for value in values)
