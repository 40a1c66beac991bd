"""What a container sees besides its image: `-v`, `--mount`, `--tmpfs`, volumes of the image."""

import posixpath
from contextlib import ExitStack
from pathlib import Path

from boxship.engine.context import Context
from boxship.errors import InvalidArgumentError, NotFoundError
from boxship.model.container import ContainerConfig, HostConfig, MountPoint, MountRequest
from boxship.model.volume import Volume

_PROPAGATIONS = ("", "rprivate", "private", "rshared", "shared", "rslave", "slave")


def resolve_mounts(
    context: Context, config: ContainerConfig, host: HostConfig, undo: ExitStack
) -> tuple[MountPoint, ...]:
    """Turn requests into mount points, by their targets; volumes are made as needed.

    What comes later overrides an earlier mount of the same target: `--volumes-from`, then the
    requests, and volumes of the image only where nothing else is.

    `undo` gets the removal of volumes that were made for this container alone.

    Raises:
        InvalidArgumentError: a request makes no sense; the texts are Docker's.
        NotFoundError: a container of `--volumes-from` or a bind's source does not exist.
    """
    found: dict[str, MountPoint] = {}
    for source in host.volumes_from:
        for point in _inherited(context, source):
            found[point.target] = point
    own: set[str] = set()
    for request in host.mounts:
        target = _target(request.target)
        if target in own:
            raise InvalidArgumentError(f"Duplicate mount point: {target}")
        own.add(target)
        found[target] = _point(context, request, target, host, undo)
    for path in config.volumes:
        target = _target(path)
        if target not in found:
            request = MountRequest("volume", target)
            found[target] = _point(context, request, target, host, undo)
    # A mount inside another one must come after it.
    return tuple(found[target] for target in sorted(found))


def _inherited(context: Context, source: str) -> list[MountPoint]:
    ref, _, mode = source.partition(":")
    if mode not in ("", "rw", "ro", "z", "Z"):
        raise InvalidArgumentError(f"invalid mode for volumes-from: {mode}")
    points = context.store.find(ref).container.mounts
    return [_with_mode(point, mode) for point in points]


def _with_mode(point: MountPoint, mode: str) -> MountPoint:
    return MountPoint(
        type=point.type,
        source=point.source,
        target=point.target,
        name=point.name,
        driver=point.driver,
        mode=mode or point.mode,
        read_only=point.read_only or mode == "ro",
        propagation=point.propagation,
        tmpfs_options=point.tmpfs_options,
        no_copy=True,
    )


def _target(path: str) -> str:
    if not path.startswith("/"):
        raise InvalidArgumentError(
            f"invalid mount config: invalid mount path: '{path}' mount path must be absolute"
        )
    target = posixpath.normpath("/" + path.lstrip("/"))
    if target == "/":
        raise InvalidArgumentError("invalid volume specification: destination can't be '/'")
    return target


def _point(
    context: Context, request: MountRequest, target: str, host: HostConfig, undo: ExitStack
) -> MountPoint:
    if request.propagation not in _PROPAGATIONS:
        raise InvalidArgumentError(
            f'invalid mount config for type "bind": invalid propagation mode: {request.propagation}'
        )
    if request.type == "bind":
        return _bind(request, target)
    if request.type == "volume":
        return _volume(context, request, target, host, undo)
    if request.type == "tmpfs":
        return MountPoint(
            "tmpfs", "", target, read_only=request.read_only, tmpfs_options=_tmpfs(request)
        )
    raise InvalidArgumentError(f'invalid mount config for type "{request.type}": unknown type')


def _bind(request: MountRequest, target: str) -> MountPoint:
    if not request.source.startswith("/"):
        raise InvalidArgumentError(
            'invalid mount config for type "bind": '
            f"invalid mount path: '{request.source}' mount path must be absolute"
        )
    source = posixpath.normpath(request.source)
    if not request.create_source and not Path(source).exists():
        raise InvalidArgumentError(
            f'invalid mount config for type "bind": bind source path does not exist: {source}'
        )
    return MountPoint(
        "bind",
        source,
        target,
        mode="ro" if request.read_only and request.from_binds else "",
        read_only=request.read_only,
        propagation=request.propagation or "rprivate",
    )


def _volume(
    context: Context, request: MountRequest, target: str, host: HostConfig, undo: ExitStack
) -> MountPoint:
    driver = request.volume_driver or host.volume_driver
    volume = _existing(context, request.source)
    if volume is None:
        labels, options = request.volume_labels, request.volume_options
        volume = context.volumes.create(request.source, driver, labels, options)
        if volume.anonymous:
            undo.callback(context.volumes.remove, volume.name)
        context.events.emit("volume", "create", volume.name, {"driver": volume.driver})
    return MountPoint(
        "volume",
        volume.mountpoint,
        target,
        name=volume.name,
        driver=volume.driver,
        mode=("ro" if request.read_only else "z") if request.from_binds else "",
        read_only=request.read_only,
        propagation="",
        anonymous=volume.anonymous,
        no_copy=request.no_copy,
    )


def _existing(context: Context, name: str) -> Volume | None:
    if not name:
        return None
    try:
        return context.volumes.get(name)
    except NotFoundError:
        return None


def _tmpfs(request: MountRequest) -> str:
    options = [option for option in request.tmpfs_options.split(",") if option]
    if request.tmpfs_size:
        options.append(f"size={request.tmpfs_size}")
    if request.tmpfs_mode:
        options.append(f"mode={request.tmpfs_mode:o}")
    return ",".join(options)
