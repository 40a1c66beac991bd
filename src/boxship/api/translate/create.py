"""From the body of a create request to the engine's values.

What this engine cannot honour is refused by its name, never ignored.
"""

import shlex

from boxship.api.translate.mounts import mount_requests
from boxship.api.translate.ports import port_bindings
from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.model.container import (
    ContainerConfig,
    DeviceRequest,
    EndpointRequest,
    Healthcheck,
    HostConfig,
    LogConfig,
    Resources,
    RestartPolicy,
    ThrottleDevice,
    Ulimit,
)
from boxship.wire import container as wire
from boxship.wire.network import EndpointSettings

_REFUSED = (
    ("storage_opt", "StorageOpt"),
    ("device_requests", "DeviceRequests"),
    ("cgroup", "Cgroup"),
    ("blkio_weight_device", "BlkioWeightDevice"),
    ("cpu_realtime_period", "CpuRealtimePeriod"),
    ("cpu_realtime_runtime", "CpuRealtimeRuntime"),
    ("cpu_count", "CpuCount"),
    ("cpu_percent", "CpuPercent"),
    ("io_maximum_iops", "IOMaximumIOps"),
    ("io_maximum_bandwidth", "IOMaximumBandwidth"),
)


def container_config(body: wire.CreateRequest) -> ContainerConfig:
    """The portable half."""
    return ContainerConfig(
        image=body.image,
        command=argv(body.cmd),
        entrypoint=argv(body.entrypoint),
        env=tuple(body.env or ()),
        working_dir=body.working_dir,
        user=body.user,
        hostname=body.hostname,
        domainname=body.domainname,
        labels=dict(body.labels or {}),
        tty=body.tty,
        open_stdin=body.open_stdin,
        stdin_once=body.stdin_once,
        attach_stdin=body.attach_stdin,
        attach_stdout=body.attach_stdout,
        attach_stderr=body.attach_stderr,
        exposed_ports=tuple(body.exposed_ports or ()),
        volumes=tuple(body.volumes or ()),
        stop_signal=body.stop_signal or "",
        stop_timeout=body.stop_timeout,
        healthcheck=_healthcheck(body.healthcheck),
        shell=tuple(body.shell) if body.shell else None,
        network_disabled=bool(body.network_disabled),
        mac_address=body.mac_address or "",
        on_build=tuple(body.on_build or ()),
    )


def argv(value: list[str] | str | None) -> tuple[str, ...] | None:
    """A command as clients send it: a list, or a string that is split as a shell would.

    An empty list means the image's own, as null does; `[""]` (from `--entrypoint ""`) is kept.

    Raises:
        InvalidArgumentError: a string with an unclosed quote.
    """
    if not value:
        return None
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value))
        except ValueError as error:
            raise InvalidArgumentError(f"invalid command {value!r}: {error}") from error
    return tuple(value)


def host_config(body: wire.CreateRequest) -> HostConfig:
    """The host half, with the networking configuration folded in.

    Raises:
        UnsupportedError: an option this engine does not have, by its name.
        InvalidArgumentError: an option that is wrong in itself.
    """
    host = body.host_config or wire.HostConfig()
    _refuse(host)
    endpoints = (body.networking_config or wire.NetworkingConfig()).endpoints_config or {}
    console = host.console_size or [0, 0]
    return HostConfig(
        mounts=mount_requests(host, body.volumes or {}),
        volumes_from=tuple(host.volumes_from or ()),
        port_bindings=port_bindings(host.port_bindings or {}),
        publish_all_ports=host.publish_all_ports,
        network_mode=host.network_mode or "default",
        networks={name: endpoint_request(value) for name, value in endpoints.items()},
        restart=_restart(host.restart_policy),
        auto_remove=host.auto_remove,
        privileged=host.privileged,
        read_only_root=host.readonly_rootfs,
        cap_add=tuple(host.cap_add or ()),
        cap_drop=tuple(host.cap_drop or ()),
        group_add=tuple(host.group_add or ()),
        security_opt=tuple(host.security_opt or ()),
        userns_mode=host.userns_mode,
        pid_mode=host.pid_mode,
        ipc_mode=host.ipc_mode,
        uts_mode=host.uts_mode,
        cgroupns_mode=host.cgroupns_mode,
        cgroup_parent=host.cgroup_parent,
        init=host.init,
        extra_hosts=tuple(host.extra_hosts or ()),
        dns=tuple(host.dns or ()),
        dns_options=tuple(host.dns_options or ()),
        dns_search=tuple(host.dns_search or ()),
        links=tuple(host.links or ()),
        ulimits=tuple(Ulimit(item.name, item.soft, item.hard) for item in host.ulimits or ()),
        sysctls=dict(host.sysctls or {}),
        shm_size=_not_negative("ShmSize", host.shm_size),
        oom_score_adj=host.oom_score_adj,
        devices=tuple(_device(item) for item in host.devices or ()),
        device_cgroup_rules=tuple(host.device_cgroup_rules or ()),
        resources=resources(host),
        log=_log(host.log_config),
        runtime=host.runtime,
        console_height=console[0],
        console_width=console[1] if len(console) > 1 else 0,
        masked_paths=None if host.masked_paths is None else tuple(host.masked_paths),
        readonly_paths=None if host.readonly_paths is None else tuple(host.readonly_paths),
        annotations=dict(host.annotations or {}),
        container_id_file=host.container_id_file,
        volume_driver=host.volume_driver,
    )


def endpoint_request(value: EndpointSettings | None) -> EndpointRequest:
    """How to join one network."""
    settings = value or EndpointSettings()
    ipam = settings.ipam_config
    return EndpointRequest(
        aliases=tuple(settings.aliases or ()),
        links=tuple(settings.links or ()),
        ipv4_address=ipam.ipv4_address if ipam else "",
        ipv6_address=ipam.ipv6_address if ipam else "",
        mac_address=settings.mac_address or "",
        driver_options=dict(settings.driver_opts or {}),
    )


def resources(host: wire.HostConfig) -> Resources:
    """The limits of the control group."""
    pids = host.pids_limit or 0
    return Resources(
        memory=_not_negative("Memory", host.memory),
        memory_swap=host.memory_swap,
        memory_reservation=_not_negative("MemoryReservation", host.memory_reservation),
        memory_swappiness=_swappiness(host.memory_swappiness),
        oom_kill_disable=bool(host.oom_kill_disable),
        nano_cpus=_not_negative("NanoCpus", host.nano_cpus),
        cpu_shares=_not_negative("CpuShares", host.cpu_shares),
        cpu_period=_not_negative("CpuPeriod", host.cpu_period),
        cpu_quota=max(host.cpu_quota, 0),
        cpuset_cpus=host.cpuset_cpus,
        cpuset_mems=host.cpuset_mems,
        pids_limit=max(pids, 0),
        blkio_weight=_not_negative("BlkioWeight", host.blkio_weight),
        read_bps=_throttles(host.blkio_device_read_bps),
        write_bps=_throttles(host.blkio_device_write_bps),
        read_iops=_throttles(host.blkio_device_read_iops),
        write_iops=_throttles(host.blkio_device_write_iops),
    )


def _refuse(host: wire.HostConfig) -> None:
    for field, name in _REFUSED:
        if getattr(host, field):
            raise UnsupportedError(f"option {name} is not supported by this engine")
    if host.isolation not in ("", "default"):
        raise InvalidArgumentError(f"invalid isolation {host.isolation!r}: linux has only default")


def _healthcheck(value: wire.Healthcheck | None) -> Healthcheck | None:
    if value is None:
        return None
    return Healthcheck(
        tuple(value.test or ()),
        value.interval,
        value.timeout,
        value.start_period,
        value.start_interval,
        value.retries,
    )


def _restart(value: wire.RestartPolicy | None) -> RestartPolicy:
    if value is None or value.name == "":
        return RestartPolicy()
    return RestartPolicy(value.name, value.maximum_retry_count)


def _log(value: wire.LogConfig | None) -> LogConfig:
    if value is None:
        return LogConfig()
    return LogConfig(value.type, dict(value.config or {}))


def _device(value: wire.DeviceMapping) -> DeviceRequest:
    inside = value.path_in_container or value.path_on_host
    return DeviceRequest(value.path_on_host, inside, value.cgroup_permissions or "rwm")


def _throttles(values: list[wire.ThrottleDevice] | None) -> tuple[ThrottleDevice, ...]:
    return tuple(ThrottleDevice(item.path, item.rate) for item in values or ())


def _not_negative(name: str, value: int) -> int:
    if value < 0:
        raise InvalidArgumentError(f"invalid {name} {value}: must not be negative")
    return value


def _swappiness(value: int | None) -> int | None:
    # Old clients send -1 for "not given".
    if value is None or value == -1:
        return None
    if not 0 <= value <= 100:
        raise InvalidArgumentError(f"invalid MemorySwappiness {value}: valid range is 0-100")
    return value
