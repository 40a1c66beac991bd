"""Makes a container's mount sources ready before its process is made."""

import os
from contextlib import AsyncExitStack

import msgspec

from boxship.engine.context import Context
from boxship.errors import InvalidArgumentError
from boxship.model.container import Container, MountPoint


def prepare_mounts(
    context: Context, container: Container, undo: AsyncExitStack
) -> tuple[MountPoint, ...]:
    """The container's mount points with sources that exist: volumes are acquired.

    A bind source that `-v` named and that does not exist is made, as a directory.

    Raises:
        InvalidArgumentError: a bind's source is gone.
        NotFoundError: a volume is gone.
    """
    creatable = {
        request.target.rstrip("/") for request in container.host.mounts if request.create_source
    }
    ready: list[MountPoint] = []
    for mount in container.mounts:
        if mount.type == "bind":
            _require_source(mount, create=mount.target in creatable)
            ready.append(mount)
        elif mount.type == "volume":
            source = context.volumes.acquire(mount.name, container.id)
            undo.callback(release_volume, context, container, mount)
            _tell_mount(context, container, mount)
            ready.append(msgspec.structs.replace(mount, source=str(source)))
        else:
            ready.append(mount)
    return tuple(ready)


def release_volume(context: Context, container: Container, mount: MountPoint) -> None:
    """The container has ended: a volume in memory goes with its last user."""
    context.volumes.release(mount.name, container.id)
    context.events.emit(
        "volume", "unmount", mount.name, {"container": container.id, "driver": mount.driver}
    )


def _require_source(mount: MountPoint, *, create: bool) -> None:
    if os.path.lexists(mount.source):
        return
    if not create:
        raise InvalidArgumentError(
            f'invalid mount config for type "bind": bind source path does not exist: {mount.source}'
        )
    try:
        os.makedirs(mount.source, mode=0o755, exist_ok=True)  # noqa: PTH103
    except OSError as failure:
        raise InvalidArgumentError(
            f"error while creating mount source path '{mount.source}': {failure.strerror}"
        ) from failure


def _tell_mount(context: Context, container: Container, mount: MountPoint) -> None:
    context.events.emit(
        "volume",
        "mount",
        mount.name,
        {
            "container": container.id,
            "destination": mount.target,
            "driver": mount.driver,
            "propagation": mount.propagation,
            "read/write": str(not mount.read_only).lower(),
        },
    )
