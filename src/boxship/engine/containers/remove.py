"""rm: make a container as if it had never been."""

import asyncio
import signal as signals

import msgspec

from boxship import log
from boxship.engine.containers.kill import deliver, mark_stopped
from boxship.engine.containers.store import Entry
from boxship.engine.context import Context
from boxship.errors import BoxshipError, ConflictError, InternalError

_KILL_PATIENCE = 30.0


async def remove(context: Context, entry: Entry, *, force: bool, volumes: bool) -> None:
    """Remove a container, with its anonymous volumes if wished.

    Raises:
        ConflictError: it runs and `force` is not given, or its removal is under way.
    """
    state = entry.container.state
    if state.status == "removing":
        raise ConflictError(f"removal of container {entry.id} is already in progress")
    if state.running and not force:
        raise _runs(entry)
    while entry.container.state.running:
        await _kill(context, entry)
    async with entry.lock:
        if entry.removed:
            return
        if entry.container.state.running:
            raise _runs(entry)
        await remove_stopped(context, entry, volumes=volumes)


async def remove_stopped(context: Context, entry: Entry, *, volumes: bool) -> None:
    """Remove a container that has no process; the caller holds its lock.

    The record says `removing` first, so that a removal that a crash cut short is completed when
    the daemon starts.
    """
    state = msgspec.structs.replace(entry.container.state, status="removing")
    container = msgspec.structs.replace(entry.container, state=state, volumes_go=volumes)
    context.store.save(entry, container)
    for session in entry.pending:
        session.abandon()
    context.snapshots.remove(container.snapshot)
    context.trash.put(context.paths.container_data(container.id))
    if volumes:
        _remove_volumes(context, entry)
    context.store.drop(entry)
    context.tell(entry, "destroy")
    entry.tell("not-running", "next-exit", "removed")


def _remove_volumes(context: Context, entry: Entry) -> None:
    """Remove volumes that were made for this container and that no other one uses."""
    for mount in entry.container.mounts:
        if not mount.anonymous or users_of_volume(context, mount.name, but=entry.id):
            continue
        try:
            context.volumes.remove(mount.name)
        except BoxshipError as failure:
            log.warn(f"cannot remove volume {mount.name[:12]}: {failure}")
            continue
        context.events.emit("volume", "destroy", mount.name, {"driver": mount.driver})


def users_of_volume(context: Context, name: str, but: str = "") -> list[str]:
    """Ids of the containers that refer to a volume."""
    return [
        entry.id
        for entry in context.store
        if entry.id != but and any(mount.name == name for mount in entry.container.mounts)
    ]


async def _kill(context: Context, entry: Entry) -> None:
    if entry.container.state.status == "restarting":
        async with entry.lock:
            if entry.container.state.status == "restarting":
                entry.cancel_restart()
                state = msgspec.structs.replace(entry.container.state, status="exited")
                context.store.save(entry, msgspec.structs.replace(entry.container, state=state))
        return
    ended = entry.watch("next-exit")
    mark_stopped(context, entry)
    await deliver(context, entry, signals.SIGKILL)
    done, _ = await asyncio.wait((ended,), timeout=_KILL_PATIENCE)
    if not done:
        ended.cancel()
        raise InternalError(
            f"cannot remove container {entry.id}: SIGKILL has had no effect for "
            f"{_KILL_PATIENCE:.0f} seconds"
        )


def _runs(entry: Entry) -> ConflictError:
    paused = entry.container.state.status == "paused"
    if paused:
        return ConflictError(
            f"You cannot remove a paused container {entry.id}. Unpause and then stop the "
            "container before attempting removal or force remove"
        )
    return ConflictError(
        f"You cannot remove a running container {entry.id}. Stop the container before "
        "attempting removal or force remove"
    )
