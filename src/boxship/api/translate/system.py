"""Info, version, disk usage and events as the wire shows them."""

import ipaddress

from boxship.api.translate import containers, images, volumes
from boxship.api.translate.times import rfc3339
from boxship.api.versions import API_VERSION, MIN_API_VERSION, Version
from boxship.engine.values import DiskUsage, SystemInfo, VersionInfo
from boxship.model.event import Event
from boxship.wire import system as wire

_INDEX = "https://index.docker.io/v1/"
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "386": "i686"}


def version(value: VersionInfo) -> wire.Version:
    """Answer to `GET /version`."""
    details = {
        "ApiVersion": API_VERSION,
        "MinAPIVersion": MIN_API_VERSION,
        "Os": value.os,
        "Arch": value.architecture,
        "KernelVersion": value.kernel,
        "PythonVersion": value.python,
    }
    return wire.Version(
        platform=wire.PlatformName("boxship"),
        components=[wire.Component("Engine", value.version, details)],
        version=value.version,
        api_version=API_VERSION,
        min_api_version=MIN_API_VERSION,
        git_commit="",
        go_version="",
        os=value.os,
        arch=value.architecture,
        kernel_version=value.kernel,
        build_time="",
    )


def info(value: SystemInfo) -> wire.Info:
    """Answer to `GET /info`."""
    return wire.Info(
        id=value.id,
        containers=value.containers,
        containers_running=value.running,
        containers_paused=value.paused,
        containers_stopped=value.stopped,
        images=value.images,
        driver=value.storage_driver,
        driver_status=[],
        plugins=wire.Plugins(
            list(value.volume_drivers), list(value.network_drivers), None, list(value.log_drivers)
        ),
        memory_limit=True,
        swap_limit=True,
        cpu_cfs_period=True,
        cpu_cfs_quota=True,
        cpu_shares=True,
        cpu_set=True,
        pids_limit=True,
        ipv4_forwarding=True,
        debug=False,
        n_fd=0,
        n_goroutines=0,
        system_time=rfc3339(value.system_time),
        logging_driver=value.log_driver,
        cgroup_driver="cgroupfs",
        cgroup_version=str(value.cgroup_version),
        n_events_listener=value.event_listeners,
        kernel_version=value.version.kernel,
        operating_system=value.operating_system,
        os_version=value.os_version,
        os_type=value.version.os,
        architecture=_MACHINES.get(value.version.architecture, value.version.architecture),
        index_server_address=_INDEX,
        registry_config=_registries(value),
        ncpu=value.cpus,
        mem_total=value.memory,
        docker_root_dir=value.data_root,
        name=value.name,
        labels=list(value.labels),
        server_version=value.version.version,
        runtimes={name: wire.Runtime(path, more) for name, (path, *more) in value.runtimes.items()},
        default_runtime=value.default_runtime,
        security_options=list(value.security_options),
        warnings=list(value.warnings) or None,
    )


def disk_usage(value: DiskUsage, version: Version, now: int) -> wire.DiskUsage:
    """Answer to `GET /system/df`."""
    return wire.DiskUsage(
        layers_size=value.layers,
        images=[images.summary(use, version) for use in value.images],
        containers=[containers.summary(item, now) for item in value.containers],
        volumes=[volumes.with_usage(use) for use in value.volumes],
        build_cache=[wire.BuildCache("all", "regular", value.build_cache)]
        if value.build_cache
        else [],
        builder_size=value.build_cache,
    )


def event(value: Event) -> wire.Event:
    """One record of `GET /events`, with the fields that clients before 1.22 read."""
    legacy = value.type in ("container", "image")
    return wire.Event(
        type=value.type,
        action=value.action,
        actor=wire.Actor(value.actor_id, value.attributes),
        scope="local",
        time=value.time // 1_000_000_000,
        time_nano=value.time,
        status=value.action if legacy else "",
        id=value.actor_id if legacy else "",
        from_=value.attributes.get("image", "") if value.type == "container" else "",
    )


def _registries(value: SystemInfo) -> wire.RegistryConfig:
    """Insecure registries by CIDR, where they are one, and by name."""
    ranges, hosts = ["127.0.0.0/8"], {}
    for entry in value.insecure_registries:
        try:
            ranges.append(str(ipaddress.ip_network(entry)))
        except ValueError:
            hosts[entry] = wire.IndexConfig(entry, [], secure=False, official=False)
    hosts["docker.io"] = wire.IndexConfig(
        "docker.io", list(value.registry_mirrors), secure=True, official=True
    )
    return wire.RegistryConfig(ranges, hosts, list(value.registry_mirrors))
