"""Mounts between wire and engine: `Binds`, `Mounts`, `Tmpfs` and `Volumes`, in one form."""

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.model.container import Container, MountPoint, MountRequest
from boxship.wire import container as wire

_PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_IGNORED_MODES = ("z", "Z", "consistent", "cached", "delegated", "")


def mount_requests(
    host: wire.HostConfig, volumes: dict[str, dict[str, str] | None]
) -> tuple[MountRequest, ...]:
    """Everything a create request asks to mount.

    Raises:
        InvalidArgumentError: a malformed bind or mount, or two for one target.
        UnsupportedError: a mount type or option this engine does not have.
    """
    requests = [parse_bind(text) for text in host.binds or ()]
    requests += [_mount(mount) for mount in host.mounts or ()]
    for target, options in (host.tmpfs or {}).items():
        requests.append(
            MountRequest("tmpfs", _absolute(target, target), tmpfs_options=options, from_binds=True)
        )
    seen: set[str] = set()
    for request in requests:
        if request.target in seen:
            raise InvalidArgumentError(f"Duplicate mount point: {request.target}")
        seen.add(request.target)
    requests += [
        MountRequest("volume", target)
        for target in volumes
        if _absolute(target, target) not in seen
    ]
    return tuple(requests)


def parse_bind(text: str) -> MountRequest:
    """Read `SOURCE:TARGET[:MODE]`, `NAME:TARGET` or `TARGET`, as `-v` takes it.

    Raises:
        InvalidArgumentError: Docker's `invalid volume specification`.
    """
    parts = text.split(":")
    if len(parts) > 3 or not all(parts[:2]):
        raise InvalidArgumentError(f"invalid volume specification: '{text}'")
    if len(parts) == 1:
        return MountRequest("volume", _absolute(parts[0], text), from_binds=True)
    read_only, propagation, no_copy = _mode(parts[2] if len(parts) == 3 else "", text)
    target = _absolute(parts[1], text)
    if parts[0].startswith("/"):
        return MountRequest(
            "bind",
            target,
            parts[0],
            read_only,
            propagation,
            create_source=True,
            from_binds=True,
        )
    if "/" in parts[0]:
        raise InvalidArgumentError(
            f"invalid volume specification: '{text}'",
            hint="a bind source is an absolute path, a volume name has no slash",
        )
    return MountRequest(
        "volume", target, parts[0], read_only, propagation, no_copy=no_copy, from_binds=True
    )


def binds(container: Container) -> list[str] | None:
    """`HostConfig.Binds` of inspect."""
    result = []
    for item in container.host.mounts:
        if not item.from_binds or item.type == "tmpfs":
            continue
        modes = ["ro"] if item.read_only else []
        modes += [item.propagation] if item.propagation else []
        modes += ["nocopy"] if item.no_copy else []
        head = f"{item.source}:{item.target}" if item.source else item.target
        result.append(f"{head}:{','.join(modes)}" if modes else head)
    return result or None


def tmpfs(container: Container) -> dict[str, str] | None:
    """`HostConfig.Tmpfs` of inspect."""
    result = {
        item.target: item.tmpfs_options
        for item in container.host.mounts
        if item.type == "tmpfs" and item.from_binds
    }
    return result or None


def mounts(container: Container) -> list[wire.Mount] | None:
    """`HostConfig.Mounts` of inspect: what came by `--mount`."""
    result = [
        _wire_mount(item)
        for item in container.host.mounts
        if not item.from_binds and (item.source or item.type != "volume")
    ]
    return result or None


def mount_points(container: Container) -> list[wire.MountPoint]:
    """`Mounts` of inspect and list: what is mounted, tmpfs left out as Docker leaves it."""
    return [_mount_point(item) for item in container.mounts if item.type != "tmpfs"]


def _mount_point(item: MountPoint) -> wire.MountPoint:
    return wire.MountPoint(
        item.type,
        item.source,
        item.target,
        item.name,
        item.driver,
        item.mode,
        not item.read_only,
        item.propagation or ("rprivate" if item.type == "bind" else ""),
    )


def _wire_mount(item: MountRequest) -> wire.Mount:
    mount = wire.Mount(item.type, item.source, item.target, item.read_only)
    if item.type == "bind" and (item.propagation or item.create_source):
        mount.bind_options = wire.BindOptions(
            item.propagation, create_mountpoint=item.create_source
        )
    if item.type == "volume":
        driver = (
            wire.DriverConfig(item.volume_driver, item.volume_options or None)
            if item.volume_driver or item.volume_options
            else None
        )
        if item.no_copy or item.volume_labels or driver:
            mount.volume_options = wire.VolumeOptions(
                item.no_copy, item.volume_labels or None, driver
            )
    if item.type == "tmpfs" and (item.tmpfs_size or item.tmpfs_mode):
        mount.tmpfs_options = wire.TmpfsOptions(item.tmpfs_size, item.tmpfs_mode)
    return mount


def _mount(mount: wire.Mount) -> MountRequest:
    if mount.type not in ("bind", "volume", "tmpfs"):
        raise UnsupportedError(
            f"mount type {mount.type!r} for {mount.target} is not supported",
            hint="use bind, volume or tmpfs",
        )
    target = _absolute(mount.target, mount.target)
    if mount.type == "bind":
        return _bind_mount(mount, target)
    if mount.type == "volume":
        return _volume_mount(mount, target)
    if mount.source:
        raise InvalidArgumentError(f"invalid mount config for type tmpfs: source {mount.source!r}")
    options = mount.tmpfs_options or wire.TmpfsOptions()
    extra = ",".join("=".join(pair) for pair in options.options or ())
    return MountRequest(
        "tmpfs",
        target,
        read_only=mount.read_only,
        tmpfs_options=extra,
        tmpfs_size=options.size_bytes,
        tmpfs_mode=options.mode,
    )


def _bind_mount(mount: wire.Mount, target: str) -> MountRequest:
    options = mount.bind_options or wire.BindOptions()
    if not mount.source.startswith("/"):
        raise InvalidArgumentError(
            f"invalid mount config for type \"bind\": invalid mount path: '{mount.source}'"
            " mount path must be absolute"
        )
    if options.propagation and options.propagation not in _PROPAGATIONS:
        raise InvalidArgumentError(f"invalid propagation {options.propagation!r} of {target}")
    for name in ("non_recursive", "read_only_non_recursive", "read_only_force_recursive"):
        if getattr(options, name):
            raise UnsupportedError(f"mount option {name} of {target} is not supported")
    return MountRequest(
        "bind",
        target,
        mount.source,
        mount.read_only,
        options.propagation,
        create_source=options.create_mountpoint,
    )


def _volume_mount(mount: wire.Mount, target: str) -> MountRequest:
    options = mount.volume_options or wire.VolumeOptions()
    if options.subpath:
        raise UnsupportedError(f"volume-subpath of {target} is not supported")
    driver = options.driver_config or wire.DriverConfig()
    return MountRequest(
        "volume",
        target,
        mount.source,
        mount.read_only,
        no_copy=options.no_copy,
        volume_driver=driver.name,
        volume_labels=dict(options.labels or {}),
        volume_options=dict(driver.options or {}),
    )


def _mode(text: str, whole: str) -> tuple[bool, str, bool]:
    read_only, propagation, no_copy = False, "", False
    for word in text.split(","):
        if word in ("ro", "rw"):
            read_only = word == "ro"
        elif word in _PROPAGATIONS:
            propagation = word
        elif word == "nocopy":
            no_copy = True
        elif word not in _IGNORED_MODES:
            raise InvalidArgumentError(f"invalid mode: {word} in volume '{whole}'")
    return read_only, propagation, no_copy


def _absolute(path: str, whole: str) -> str:
    if not path.startswith("/"):
        raise InvalidArgumentError(
            f"invalid volume specification: '{whole}': invalid mount path: '{path}'"
            " mount path must be absolute"
        )
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or not parts:
        raise InvalidArgumentError(
            f"invalid volume specification: '{whole}': destination can't be '/'"
            if not parts
            else f"invalid volume specification: '{whole}': destination holds '..'"
        )
    return "/" + "/".join(parts)
