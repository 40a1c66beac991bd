"""Remove: names first, then the image when nothing names or uses it any more.

The rules and words are Docker's: a name is untagged; an id needs force when several repositories
name it; what a container uses is kept.
"""

from collections.abc import Callable, Sequence

import msgspec

from boxship.errors import ConflictError
from boxship.image.context import Context
from boxship.image.documents import chain_ids
from boxship.image.progress import short
from boxship.model.digest import Digest
from boxship.model.image import Image
from boxship.model.reference import Reference, parse_reference


class Removed(msgspec.Struct, frozen=True):
    """One thing that went: a name (`untagged`) or an image or layer id (`deleted`)."""

    untagged: str = ""
    deleted: str = ""


class ImageUser(msgspec.Struct, frozen=True):
    """A container made from an image."""

    container_id: str
    running: bool


InUse = Callable[[Digest], Sequence[ImageUser]]


class Removal(msgspec.Struct, frozen=True):
    """What to remove and how.

    Attributes:
        force: also when several repositories name it or a stopped container uses it.
    """

    name: str
    force: bool = False


def remove(context: Context, removal: Removal, in_use: InUse) -> list[Removed]:
    """Untag or delete, see ImageService.remove; blobs and snapshots are left to the collector."""
    image = context.images.resolve(removal.name)
    if context.images.is_id(removal.name, image):
        return _by_id(context, image, in_use, force=removal.force)
    return _by_name(context, image, removal, in_use)


def delete_image(context: Context, image: Image) -> list[Removed]:
    """Delete an image with all its names, without asking who uses it."""
    before = context.images.all()
    refs = context.images.delete(image.id)
    removed = [Removed(untagged=ref.familiar()) for ref in refs]
    for ref in refs:
        context.tell("untag", image.id, {"name": ref.familiar()})
    removed.append(Removed(deleted=image.id))
    context.tell("delete", image.id, {"name": image.id})
    kept = {chain for other in before if other.id != image.id for chain in chain_ids(other.config)}
    gone = [chain for chain in chain_ids(image.config) if chain not in kept]
    removed += [Removed(deleted=chain) for chain in reversed(gone)]
    return removed


def _by_id(context: Context, image: Image, in_use: InUse, *, force: bool) -> list[Removed]:
    refs = context.images.references(image.id)
    if len({ref.name for ref in refs}) > 1 and not force:
        raise _conflict(image, "must be forced", "image is referenced in multiple repositories")
    _check_users(image, in_use, force=force)
    return delete_image(context, image)


def _by_name(context: Context, image: Image, removal: Removal, in_use: InUse) -> list[Removed]:
    ref = parse_reference(removal.name).with_default_tag()
    refs = context.images.references(image.id)
    others = [one for one in refs if not _same(one, ref)]
    tagged = ref.digest is not None or any(o.tag for o in others if o.name == ref.name)
    # Digests of a repository are no names of their own: they go with its last tag.
    gone = [one for one in others if one.name == ref.name and not tagged]
    if len(gone) < len(others):
        return _untag(context, image, [ref, *gone])
    users = in_use(image.id)
    if users and not removal.force:
        raise ConflictError(
            f'conflict: unable to remove repository reference "{removal.name}" (must force) -'
            f" container {users[0].container_id[:12]} is using its referenced image"
            f" {short(image.id)}"
        )
    if users:
        # Its layers live on under the containers; the image stays known by its id.
        return _untag(context, image, [ref, *gone])
    return delete_image(context, image)


def _untag(context: Context, image: Image, refs: list[Reference]) -> list[Removed]:
    removed = []
    for ref in refs:
        context.images.untag(ref)
        context.tell("untag", image.id, {"name": ref.familiar()})
        removed.append(Removed(untagged=ref.familiar()))
    return removed


def _check_users(image: Image, in_use: InUse, *, force: bool) -> None:
    users = sorted(in_use(image.id), key=lambda user: not user.running)
    if not users:
        return
    first = users[0]
    ident = first.container_id[:12]
    if first.running:
        raise _conflict(
            image, "cannot be forced", f"image is being used by running container {ident}"
        )
    if not force:
        raise _conflict(
            image, "must be forced", f"image is being used by stopped container {ident}"
        )


def _conflict(image: Image, how: str, why: str) -> ConflictError:
    return ConflictError(f"conflict: unable to delete {short(image.id)} ({how}) - {why}")


def _same(one: Reference, other: Reference) -> bool:
    if other.digest is not None:
        return one.name == other.name and one.digest == other.digest
    return one.name == other.name and one.tag == other.tag and one.digest is None
