"""From configuration to a running engine and the API over it: every part made once, here."""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec

from boxship import log
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
from boxship.builder.service import BuildService, BuildStores
from boxship.builder.worker.runner import ContainerRunner, RunnerSettings
from boxship.daemon.config import DaemonConfig
from boxship.engine.containers.runtimes import check_runtimes
from boxship.engine.engine import Engine, Parts
from boxship.engine.events import EventBus
from boxship.engine.exit_relay import ExitRelay
from boxship.engine.logs.options import check_log
from boxship.engine.sandboxes.ranges import IdRanges
from boxship.engine.settings import EngineSettings
from boxship.engine.values import ListQuery
from boxship.errors import ConflictError, UnavailableError
from boxship.image import ImageService
from boxship.kernel.probe import probe
from boxship.model.container import LogConfig
from boxship.network.service import NetworkService
from boxship.network.settings import AddressRange, NetworkSettings
from boxship.paths import Paths
from boxship.registry.settings import RegistrySettings
from boxship.runtime.host_ids import HostIds
from boxship.runtime.keeper.messages import Exit
from boxship.runtime.supervisor import Supervisor
from boxship.storage.content.store import ContentStore
from boxship.storage.records.database import Database
from boxship.storage.records.records import Records
from boxship.storage.snapshots.store import SnapshotStore
from boxship.storage.trees import remove_tree
from boxship.volume import VolumeService


class _Stores(NamedTuple):
    """What is on disk."""

    database: Database
    content: ContentStore
    snapshots: SnapshotStore
    images: ImageService
    volumes: VolumeService
    events: EventBus


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
    settings = _engine_settings(config)
    # Build contexts of a daemon that was cut short.
    remove_tree(_scratch(paths), paths.data_root / "trash")
    stores = _open_stores(config, paths, stack)
    networks = NetworkService(stores.database, _network_settings(config))
    stack.push_async_callback(networks.stop)
    await networks.start()
    exits = _Exits()
    supervisor = await Supervisor.connect(paths.exec_root, on_exit=exits)
    stack.push_async_callback(_let_go, supervisor)
    ids = HostIds(paths.exec_root)
    running = RunnerSettings(settings.userns, settings.cgroup_parent, ids.first())
    runner = ContainerRunner(supervisor, networks, paths, running)
    exits.builds = runner.exited
    parts = Parts(
        paths=paths,
        database=stores.database,
        snapshots=stores.snapshots,
        images=stores.images,
        networks=networks,
        volumes=stores.volumes,
        builder=_builder(paths, stores, runner),
        supervisor=supervisor,
        exits=exits.containers,
        events=stores.events,
        clock=time.time_ns,
        ranges=IdRanges(ids.claim),
    )
    engine = Engine(parts, settings)
    stack.push_async_callback(engine.close)
    await engine.recover()
    log.create_task(stores.images.sweep(), "sweep up what was cut short")
    return _router(engine, paths, stop)


async def _let_go(supervisor: Supervisor) -> None:
    """End the keeper too when it has nothing to keep; otherwise leave it with its containers."""
    try:
        await supervisor.shutdown()
    except (ConflictError, UnavailableError):
        log.info("the keeper stays: containers go on")
    finally:
        await supervisor.close()


class _Exits:
    """Sorts the keeper's reports: steps of builds to the builder, the rest to the engine."""

    def __init__(self) -> None:
        self.builds: Callable[[Exit], bool] = lambda _ended: False
        self.containers = ExitRelay()

    def __call__(self, ended: Exit) -> None:
        if not self.builds(ended):
            self.containers(ended)


def _open_stores(config: DaemonConfig, paths: Paths, stack: AsyncExitStack) -> _Stores:
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
    return _Stores(database, content, snapshots, images, volumes, events)


def _builder(paths: Paths, stores: _Stores, runner: ContainerRunner) -> BuildService:
    build_stores = BuildStores(
        images=stores.images,
        content=stores.content,
        content_root=paths.content,
        snapshots=stores.snapshots,
        records=Records(stores.database, "build_cache"),
    )
    return BuildService(build_stores, runner, paths.data_root / "builder", time.time_ns)


def _router(engine: Engine, paths: Paths, stop: Callable[[], None]) -> Router:
    async def shutdown(containers: bool) -> None:
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
        BuildRoutes(engine, _scratch(paths)),
        NetworkRoutes(engine),
        VolumeRoutes(engine),
        DaemonRoutes(shutdown),
        AbsentRoutes(),
    )
    return Router(tuple(route for resource in resources for route in resource.routes()))


def _scratch(paths: Paths) -> Path:
    """Where build contexts are while their build runs."""
    return paths.data_root / "tmp"


def _engine_settings(config: DaemonConfig) -> EngineSettings:
    features = probe()
    settings = EngineSettings(
        runtimes=config.runtimes,
        default_runtime=config.default_runtime,
        userns=features.idmapped_mounts,
        cgroup_parent=config.cgroup_parent,
        labels=config.labels,
        insecure_registries=config.insecure_registries,
        registry_mirrors=config.registry_mirrors,
    )
    check_runtimes(settings)
    if config.log_driver == settings.log.driver and not config.log_options:
        return settings
    options = dict(config.log_options)
    if config.log_driver == settings.log.driver:
        options = settings.log.options | options
    chosen = LogConfig(config.log_driver, options)
    check_log(chosen)
    return msgspec.structs.replace(settings, log=chosen)


def _network_settings(config: DaemonConfig) -> NetworkSettings:
    settings = NetworkSettings.for_data_root(config.data_root)
    ranges = tuple(AddressRange(pool.base, pool.size) for pool in config.address_pools)
    return msgspec.structs.replace(
        settings, bip=config.bip, dns=config.dns, ranges=ranges or settings.ranges
    )
