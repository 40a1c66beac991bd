"""rename: give a container another name."""

import msgspec

from boxship.engine.containers.names import check_name
from boxship.engine.containers.store import Entry
from boxship.engine.context import Context
from boxship.errors import InvalidArgumentError


async def rename(context: Context, entry: Entry, name: str) -> None:
    """Change the name; its networks know it by the new one from its next start on.

    Raises:
        InvalidArgumentError: not a name, or the name it has.
        ConflictError: the name is taken.
    """
    if not name:
        raise InvalidArgumentError("Neither old nor new names may be empty")
    bare = check_name(name)
    async with entry.lock:
        old = entry.container.name
        if bare == old:
            raise InvalidArgumentError(
                "Renaming a container with the same name as its current name"
            )
        context.store.rename(entry, msgspec.structs.replace(entry.container, name=bare))
    context.tell(entry, "rename", oldName=f"/{old}")
