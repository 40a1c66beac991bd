"""Which image of an index fits, and whether an image fits at all."""

import msgspec

from boxship.errors import InvalidArgumentError, NotFoundError, UnsupportedError
from boxship.model.image import Descriptor, Index
from boxship.model.platform import Platform
from boxship.model.reference import Reference


class Wanted(msgspec.Struct, frozen=True):
    """The platform an image must be for, and whether the user named it."""

    platform: Platform
    named: bool


def select(index: Index, wanted: Wanted) -> Descriptor:
    """The manifest of an index that runs best on a platform.

    Raises:
        NotFoundError: there is none, in Docker's words.
    """
    best: Descriptor | None = None
    for entry in index.manifests:
        if entry.platform is None:
            # A single image of an archive needs no platform; its config tells.
            best = best or entry
            continue
        candidate = entry.platform.value()
        if not wanted.platform.runs(candidate):
            continue
        if best is None or best.platform is None or _variant(entry) > _variant(best):
            best = entry
    if best is None:
        found = sorted({str(e.platform.value()) for e in index.manifests if e.platform})
        raise NotFoundError(
            f"no matching manifest for {wanted.platform} in the manifest list entries",
            hint="it holds " + (", ".join(p for p in found if "unknown" not in p) or "none"),
        )
    return best


def check_platform(image: Platform, wanted: Wanted, ref: Reference) -> None:
    """Refuse an image that this host cannot run, unless its platform was asked for by name.

    Raises:
        UnsupportedError: it is for another operating system.
        InvalidArgumentError: it is for another architecture than wanted.
    """
    if image.os != "linux":
        raise UnsupportedError(
            f'image operating system "{image.os}" cannot be used on this platform:'
            f" operating system is not supported: {ref.familiar()}",
        )
    # Images from Docker's first years name no architecture.
    if not image.architecture or wanted.platform.runs(image):
        return
    hint = "" if wanted.named else f"name the platform {image} to keep it without running it"
    raise InvalidArgumentError(
        f"image with reference {ref.familiar()} was found but its platform ({image}) does not"
        f" match the specified platform ({wanted.platform})",
        hint=hint,
    )


def _variant(entry: Descriptor) -> str:
    return (entry.platform.variant or "") if entry.platform else ""
