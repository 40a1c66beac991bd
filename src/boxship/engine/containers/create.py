"""create: make a container of an image; nothing runs yet."""

import secrets
from contextlib import ExitStack

import msgspec

from boxship.engine.containers import merge
from boxship.engine.containers.check import check
from boxship.engine.containers.find_image import find_image
from boxship.engine.containers.mounts import resolve_mounts
from boxship.engine.containers.names import check_name, random_name
from boxship.engine.containers.network import idle_endpoint, wanted_networks
from boxship.engine.containers.populate import populate_volumes
from boxship.engine.context import Context
from boxship.engine.sandboxes.names import hostname_of
from boxship.engine.values import Created
from boxship.model.container import Container, ContainerConfig, HostConfig, LogConfig
from boxship.model.image import Image
from boxship.model.platform import Platform


async def create(
    context: Context,
    name: str | None,
    config: ContainerConfig,
    host: HostConfig,
    platform: Platform | None,
) -> Created:
    """Make a container, or nothing at all: every step has its undo.

    The record is written last, so a container that a crash left half-made has none, and its parts
    are swept up when the daemon starts.
    """
    warnings = check(config, host, context.settings)
    image, more = find_image(context, config.image, platform)
    warnings += more
    container_id = _new_id()
    bare = check_name(name) if name else random_name(context.store.name_taken)
    host = _with_defaults(context, host)
    host = msgspec.structs.replace(host, networks=wanted_networks(context, host, config))
    with ExitStack() as undo:
        context.store.reserve(bare, container_id)
        undo.callback(context.store.unreserve, bare)
        chain = await context.images.ensure_unpacked(image)
        context.snapshots.prepare(container_id, chain or None, volatile=host.auto_remove)
        undo.callback(context.snapshots.remove, container_id)
        data = context.paths.container_data(container_id)
        data.mkdir(parents=True, mode=0o710)
        undo.callback(context.trash.put, data)
        # Together, so that no crash leaves anonymous volumes that belong to nobody.
        with context.transaction(), ExitStack() as volumes:
            container = _describe(context, image, (container_id, bare), (config, host), volumes)
            entry = context.store.add(container)
            undo.push(volumes.pop_all())
        undo.callback(context.store.drop, entry)
        await populate_volumes(context, container.mounts, chain)
        undo.pop_all()
    context.tell(entry, "create")
    return Created(container, tuple(warnings))


def _describe(
    context: Context,
    image: Image,
    names: tuple[str, str],
    request: tuple[ContainerConfig, HostConfig],
    undo: ExitStack,
) -> Container:
    """The record; volumes that it names are made."""
    container_id, name = names
    config, host = request
    config = merge.merge(config, image.config.config)
    config = msgspec.structs.replace(
        config, hostname=hostname_of(context, container_id, config, host)
    )
    data = context.paths.container_data(container_id)
    command = merge.argv(config)
    return Container(
        id=container_id,
        name=name,
        created=context.clock(),
        image_id=image.id,
        config=config,
        host=host,
        path=command[0],
        args=command[1:],
        mounts=resolve_mounts(context, config, host, undo),
        endpoints={
            network: idle_endpoint(context, network, wish)
            for network, wish in host.networks.items()
        },
        snapshot=container_id,
        log_path=str(data / f"{container_id}-json.log") if host.log.driver != "none" else "",
        resolv_path=str(data / "resolv.conf"),
        hosts_path=str(data / "hosts"),
        hostname_path=str(data / "hostname"),
    )


def _new_id() -> str:
    """64 hexadecimal digits whose short form cannot be taken for a number."""
    while (new := secrets.token_hex(32))[:12].isdigit():
        pass
    return new


def _with_defaults(context: Context, host: HostConfig) -> HostConfig:
    """The request with the daemon's defaults filled in, as inspect shows it."""
    chosen = host.log
    if not chosen.driver:
        options = {**context.settings.log.options, **chosen.options}
        chosen = LogConfig(context.settings.log.driver, options)
    return msgspec.structs.replace(
        host,
        log=chosen,
        runtime=host.runtime or context.settings.default_runtime,
        shm_size=host.shm_size or context.settings.shm_size,
        network_mode=host.network_mode or "default",
    )
