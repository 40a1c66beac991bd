"""Fills new volumes with what the image has at their mount points."""

from boxship.engine.context import Context
from boxship.model.container import MountPoint


async def populate_volumes(context: Context, mounts: tuple[MountPoint, ...], chain: str) -> None:
    """Copy the image's content into volumes that are still empty, unless they said no-copy."""
    wanted = [mount for mount in mounts if mount.type == "volume" and not mount.no_copy]
    if not wanted or not chain:
        return
    layers = context.snapshots.layers(chain)
    for mount in wanted:
        await context.volumes.populate(mount.name, layers, mount.target)
