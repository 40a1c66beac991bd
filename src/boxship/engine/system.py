"""The engine and its host: version, info, disk usage, login."""

import asyncio
import hashlib
import os
import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path

from boxship.__version__ import __version__
from boxship.engine.containers import listing
from boxship.engine.containers.remove import users_of_volume
from boxship.engine.containers.runtimes import BUILT_IN, known
from boxship.engine.context import Context
from boxship.engine.images import ImageFacade
from boxship.engine.values import (
    DiskUsage,
    ImageUse,
    ListedContainer,
    SystemInfo,
    VersionInfo,
    VolumeUse,
)
from boxship.model.platform import host_platform
from boxship.model.registry import Credentials
from boxship.model.volume import Volume

_OS_RELEASE = Path("/etc/os-release")
_MACHINE_ID = Path("/etc/machine-id")


class SystemFacade:
    """See `facade.System` for what each method means and raises."""

    def __init__(
        self, context: Context, images: ImageFacade, cache_size: Callable[[], int]
    ) -> None:
        self._context = context
        self._images = images
        self._cache_size = cache_size

    def version(self) -> VersionInfo:
        host = host_platform()
        return VersionInfo(
            version=__version__,
            os=host.os,
            architecture=host.architecture,
            kernel=os.uname().release,
            python=platform.python_version(),
        )

    def info(self) -> SystemInfo:
        context = self._context
        settings = context.settings
        states = [entry.container.state.status for entry in context.store]
        running = sum(status in ("running", "restarting") for status in states)
        paused = states.count("paused")
        name, release = _distribution()
        return SystemInfo(
            id=_identity(context.paths.data_root),
            name=os.uname().nodename,
            version=self.version(),
            containers=len(states),
            running=running,
            paused=paused,
            stopped=len(states) - running - paused,
            images=len(self._images.list({})),
            data_root=str(context.paths.data_root),
            operating_system=name,
            os_version=release,
            cpus=len(os.sched_getaffinity(0)),
            memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            storage_driver="overlay2",
            cgroup_version=2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1,
            security_options=_security(userns=settings.userns),
            labels=settings.labels,
            runtimes={BUILT_IN: ("boxship-runtime",)} | known(settings),
            default_runtime=settings.default_runtime,
            log_driver=settings.log.driver,
            log_drivers=("json-file", "none"),
            network_drivers=("bridge", "host", "null"),
            volume_drivers=("local",),
            insecure_registries=settings.insecure_registries,
            registry_mirrors=settings.registry_mirrors,
            event_listeners=context.events.listeners,
            warnings=_warnings(userns=settings.userns),
            system_time=context.clock(),
        )

    async def disk_usage(self) -> DiskUsage:
        context = self._context
        containers = [
            ListedContainer(entry.container, await listing.measure(context, entry.container))
            for entry in context.store
        ]
        volumes = [await self._volume(volume) for volume in context.volumes.list()]
        images = tuple(
            ImageUse(image, len(self._images.users(image.id))) for image in self._images.list({})
        )
        return DiskUsage(
            layers=await asyncio.to_thread(self._images.layers_size),
            images=images,
            containers=tuple(containers),
            volumes=tuple(volumes),
            build_cache=self._cache_size(),
        )

    async def login(self, credentials: Credentials) -> str:
        return await self._images.login(credentials)

    async def _volume(self, volume: Volume) -> VolumeUse:
        size = await asyncio.to_thread(self._context.volumes.size, volume)
        return VolumeUse(volume, size, len(users_of_volume(self._context, volume.name)))


@cache
def _distribution() -> tuple[str, str]:
    """The host's name for itself and its version (os-release(5))."""
    values: dict[str, str] = {}
    if _OS_RELEASE.exists():
        for line in _OS_RELEASE.read_text(errors="replace").splitlines():
            key, _, value = line.partition("=")
            values[key] = value.strip("\"'")
    return values.get("PRETTY_NAME", "Linux"), values.get("VERSION_ID", "")


@cache
def _identity(data_root: Path) -> str:
    """Stable for one data root on one host; says nothing about the host."""
    machine = _MACHINE_ID.read_bytes() if _MACHINE_ID.exists() else os.uname().nodename.encode()
    digest = hashlib.sha256(machine + os.fsencode(data_root)).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def _security(*, userns: bool) -> tuple[str, ...]:
    options = ["name=seccomp,profile=builtin"]
    if userns:
        options.append("name=userns")
    return tuple(options)


def _warnings(*, userns: bool) -> tuple[str, ...]:
    if userns:
        return ()
    return (
        (
            "WARNING: containers run without a user namespace of their own: this kernel has no "
            "id-mapped mounts"
        ),
    )
