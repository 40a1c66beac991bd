"""Frees what a container holds only while it has a process."""

import asyncio
from contextlib import suppress

import msgspec

from boxship import log
from boxship.engine.containers.bundle import remove_bundle
from boxship.engine.containers.network import leave
from boxship.engine.containers.prepare import release_volume
from boxship.engine.containers.store import Entry
from boxship.engine.context import Context
from boxship.engine.sandboxes.files import idle
from boxship.engine.sandboxes.modes import modes_of
from boxship.errors import NotFoundError


async def release(context: Context, entry: Entry) -> None:
    """Give back network, ports, cgroup, id range and bundle; the record in memory says so.

    Every part is tried, whatever becomes of the others, and failures are logged: the next start
    of the daemon sweeps up what is left. Saving the record is the caller's.
    """
    container = entry.container
    works = [forget_process(context, entry.id)]
    if container.ports:
        works.append(context.networks.unpublish(entry.id))
    works.extend(
        leave(context, entry.id, endpoint)
        for endpoint in container.endpoints.values()
        if endpoint.endpoint_id
    )
    for outcome in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(outcome, Exception):
            log.warn(f"cleaning up after container {entry.id[:12]}: {outcome}")
    for mount in container.mounts:
        if mount.type == "volume":
            release_volume(context, container, mount)
    modes = modes_of(container.host)
    if not modes.shared_with:
        context.ranges.release(container.user_base)
    remove_bundle(context, entry.id)
    entry.process = None
    entry.container = msgspec.structs.replace(
        container,
        endpoints={name: idle(endpoint) for name, endpoint in container.endpoints.items()},
        ports=(),
        user_base=0,
    )


async def forget_process(context: Context, container_id: str) -> None:
    """Have the keeper kill what is left of it, remove its cgroup and forget it."""
    with suppress(NotFoundError):
        await context.supervisor.delete(container_id)
