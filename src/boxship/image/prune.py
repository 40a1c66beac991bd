"""Prune: images nobody names, or nobody uses."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from boxship.image.context import Context
from boxship.image.remove import InUse, Removed, delete_image
from boxship.model.image import Image


class PruneRequest(msgspec.Struct, frozen=True):
    """What may go.

    Attributes:
        all: also images with names; otherwise only those without.
        until: only images made before, nanoseconds since the epoch; 0 for no limit.
        labels: only images that carry these; an empty value matches any.
        not_labels: only images that do not carry these.
    """

    all: bool = False
    until: int = 0
    labels: Mapping[str, str] = {}
    not_labels: Mapping[str, str] = {}


def prune(context: Context, request: PruneRequest, in_use: InUse) -> list[Removed]:
    """Delete images that no container uses and the request covers."""
    removed: list[Removed] = []
    for image in context.images.all():
        if (request.all or not image.tags) and _covered(image, request) and not in_use(image.id):
            removed += delete_image(context, image)
    return removed


def created_at(image: Image) -> int:
    """When an image was made, nanoseconds since the epoch; 0 when it does not say."""
    text = image.config.created
    if not text:
        return 0
    head, _, fraction = text.removesuffix("Z").partition(".")
    try:
        moment = datetime.fromisoformat(head)
    except ValueError:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    digits = "".join(digit for digit in fraction if digit.isdigit())[:9]
    return int(moment.timestamp()) * 1_000_000_000 + int(digits.ljust(9, "0") or 0)


def _covered(image: Image, request: PruneRequest) -> bool:
    if request.until and created_at(image) >= request.until:
        return False
    labels = image.config.config.labels
    if not all(_carries(labels, key, value) for key, value in request.labels.items()):
        return False
    return not any(_carries(labels, key, value) for key, value in request.not_labels.items())


def _carries(labels: Mapping[str, str], key: str, value: str) -> bool:
    return key in labels and value in ("", labels[key])
