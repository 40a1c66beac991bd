"""Makes a container's mount sources ready before its process is made."""

import os
from contextlib import AsyncExitStack

from boxship.engine.context import Context
from boxship.errors import InvalidArgumentError
from boxship.model.container import Container, MountPoint


async def prepare_mounts(context: Context, container: Container, undo: AsyncExitStack) -> None:
    """Make bind sources that `-v` named and that do not exist, and tell what is mounted.

    Raises:
        InvalidArgumentError: a bind's source is gone.
    """
    creatable = {
        request.target.rstrip("/") for request in container.host.mounts if request.create_source
    }
    for mount in container.mounts:
        if mount.type == "bind":
            _require_source(mount, create=mount.target in creatable)
        elif mount.type == "volume":
            _tell_mount(context, container, mount)
            undo.callback(tell_unmount, context, container, mount)


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


def tell_unmount(context: Context, container: Container, mount: MountPoint) -> None:
    context.events.emit(
        "volume", "unmount", mount.name, {"container": container.id, "driver": mount.driver}
    )
