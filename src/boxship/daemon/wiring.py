"""From configuration to a running engine and the API over it: every part made once, here."""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import msgspec

from boxship.api.router import Router
from boxship.api.routes.absent import AbsentRoutes
from boxship.api.routes.build import BuildRoutes
from boxship.api.routes.containers import ContainerRoutes
from boxship.api.routes.daemon import DaemonRoutes
from boxship.api.routes.execs import ExecRoutes
from boxship.api.routes.images import ImageRoutes
from boxship.api.routes.networks import NetworkRoutes
from boxship.api.routes.output import OutputRoutes
from boxship.api.routes.system import SystemRoutes
from boxship.api.routes.volumes import VolumeRoutes
from boxship.daemon.config import DaemonConfig
from boxship.engine.engine import Engine, Parts
from boxship.engine.events import EventBus
from boxship.engine.exit_relay import ExitRelay
from boxship.engine.settings import EngineSettings
from boxship.engine.values import ListQuery
from boxship.image import ImageService
from boxship.kernel.probe import probe
from boxship.model.container import LogConfig
from boxship.network.service import NetworkService
from boxship.network.settings import AddressRange, NetworkSettings
from boxship.paths import Paths
from boxship.registry.settings import RegistrySettings
from boxship.runtime.supervisor import Supervisor
from boxship.storage.content.store import ContentStore
from boxship.storage.records.database import Database
from boxship.storage.snapshots.store import SnapshotStore
from boxship.volume import VolumeService


async def open_engine(
    config: DaemonConfig, paths: Paths, stop: Callable[[], None], stack: AsyncExitStack
) -> Router:
    """Make every part, recover what an earlier daemon left, and give the API's handler.

    Args:
        config: what was configured.
        paths: where things are.
        stop: ends the daemon.
        stack: closes the parts, last one first.

    Raises:
        BoxshipError: a part cannot start.
    """
    parts = await _open_parts(config, paths, stack)
    engine = Engine(parts, _engine_settings(config))
    stack.push_async_callback(engine.close)
    await engine.recover()

    async def shutdown(containers: bool) -> None:  # noqa: FBT001 - a callback
        if containers:
            for item in await engine.containers.list(ListQuery()):
                await engine.containers.stop(item.container.id)
        stop()

    resources = (
        SystemRoutes(engine),
        ContainerRoutes(engine),
        OutputRoutes(engine),
        ExecRoutes(engine),
        ImageRoutes(engine),
        BuildRoutes(engine, paths.data_root / "tmp"),
        NetworkRoutes(engine),
        VolumeRoutes(engine),
        DaemonRoutes(shutdown),
        AbsentRoutes(),
    )
    return Router(tuple(route for resource in resources for route in resource.routes()))


async def _open_parts(config: DaemonConfig, paths: Paths, stack: AsyncExitStack) -> Parts:
    database = Database(paths.database)
    stack.callback(database.close)
    content = ContentStore(paths.content)
    snapshots = SnapshotStore(paths.snapshots)
    stack.callback(snapshots.close)
    events = EventBus(time.time_ns)
    images = ImageService(
        content,
        snapshots,
        database,
        RegistrySettings(insecure=config.insecure_registries, mirrors=config.registry_mirrors),
        on_event=lambda action, actor, attributes: events.emit(
            "image", action, actor, dict(attributes)
        ),
    )
    stack.push_async_callback(images.close)
    volumes = VolumeService(database, paths.volumes)
    stack.callback(volumes.close)
    volumes.start()
    networks = NetworkService(database, _network_settings(config))
    stack.push_async_callback(networks.stop)
    await networks.start()
    exits = ExitRelay()
    supervisor = await Supervisor.connect(paths.exec_root, on_exit=exits)
    stack.push_async_callback(supervisor.close)
    return Parts(
        paths=paths,
        database=database,
        snapshots=snapshots,
        images=images,
        networks=networks,
        volumes=volumes,
        builder=_builder(),
        supervisor=supervisor,
        exits=exits,
        events=events,
        clock=time.time_ns,
    )


def _engine_settings(config: DaemonConfig) -> EngineSettings:
    features = probe()
    settings = EngineSettings(
        runtimes=tuple(config.runtimes),
        default_runtime=config.default_runtime,
        userns=features.idmapped_mounts,
        labels=config.labels,
        insecure_registries=config.insecure_registries,
        registry_mirrors=config.registry_mirrors,
    )
    if config.log_driver == settings.log.driver and not config.log_options:
        return settings
    options = dict(config.log_options)
    if config.log_driver == settings.log.driver:
        options = settings.log.options | options
    return msgspec.structs.replace(settings, log=LogConfig(config.log_driver, options))


def _network_settings(config: DaemonConfig) -> NetworkSettings:
    settings = NetworkSettings.for_data_root(config.data_root)
    ranges = tuple(AddressRange(pool.base, pool.size) for pool in config.address_pools)
    return msgspec.structs.replace(
        settings, bip=config.bip, dns=config.dns, ranges=ranges or settings.ranges
    )


class _NoBuilder:
    async def build(self, request, output): raise AssertionError
    async def prune(self): return 0
    def cache_size(self): return 0

def _builder(): return _NoBuilder()
