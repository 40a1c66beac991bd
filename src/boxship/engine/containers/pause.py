"""pause and unpause: freeze a container's processes, and thaw them."""

import msgspec

from boxship.engine.containers.kill import not_running
from boxship.engine.containers.store import Entry
from boxship.engine.context import Context
from boxship.errors import ConflictError


async def pause(context: Context, entry: Entry) -> None:
    """Freeze.

    Raises:
        ConflictError: it does not run, is paused already, or is between two runs.
    """
    async with entry.lock:
        status = entry.container.state.status
        if status == "paused":
            raise ConflictError(f"Container {entry.id} is already paused")
        if status == "restarting":
            raise ConflictError(
                f"Container {entry.id} is restarting, wait until the container is running"
            )
        if status != "running":
            raise not_running(entry)
        await context.supervisor.pause(entry.id)
        _save(context, entry, "paused")
    context.tell(entry, "pause")


async def unpause(context: Context, entry: Entry) -> None:
    """Thaw.

    Raises:
        ConflictError: it is not paused.
    """
    async with entry.lock:
        if entry.container.state.status != "paused":
            raise ConflictError(f"Container {entry.id} is not paused")
        await context.supervisor.resume(entry.id)
        _save(context, entry, "running")
    context.tell(entry, "unpause")


def _save(context: Context, entry: Entry, status: str) -> None:
    state = msgspec.structs.replace(entry.container.state, status=status)
    context.store.save(entry, msgspec.structs.replace(entry.container, state=state))
