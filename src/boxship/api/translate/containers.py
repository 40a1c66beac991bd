"""Containers as inspect, list and exec inspect show them."""

import shlex

from boxship.api.translate import mounts, ports
from boxship.api.translate.times import human_duration, rfc3339
from boxship.engine.values import Exec, ListedContainer
from boxship.model.container import (
    Container,
    ContainerConfig,
    ContainerState,
    Endpoint,
    HostConfig,
    Resources,
    ThrottleDevice,
)
from boxship.wire import container as wire
from boxship.wire.network import EndpointIpam, EndpointSettings

_NS = 1_000_000_000
_DEFAULT_SHM = 64 << 20


def inspect(item: ListedContainer, exec_ids: tuple[str, ...]) -> wire.ContainerInspect:
    """Answer to `GET /containers/{id}/json`."""
    container = item.container
    document = wire.ContainerInspect(
        id=container.id,
        created=rfc3339(container.created),
        path=container.path,
        args=list(container.args),
        state=state(container.state),
        image=container.image_id,
        name=f"/{container.name}",
        host_config=host_config(container),
        config=config(container.config),
        network_settings=network_settings(container),
        mounts=mounts.mount_points(container),
        graph_driver=wire.GraphDriver("overlay2", {}),
        resolv_conf_path=container.resolv_path,
        hostname_path=container.hostname_path,
        hosts_path=container.hosts_path,
        log_path=container.log_path,
        restart_count=container.restart_count,
        exec_ids=list(exec_ids) or None,
    )
    if item.size is not None:
        document.size_rw = item.size.written
        document.size_root_fs = item.size.total
    return document


def summary(item: ListedContainer, now: int) -> wire.ContainerSummary:
    """One of the answer to `GET /containers/json`."""
    container = item.container
    command = shlex.join((container.path, *container.args)) if container.path else ""
    document = wire.ContainerSummary(
        id=container.id,
        names=[f"/{container.name}"],
        image=container.config.image,
        image_id=container.image_id,
        command=command,
        created=container.created // _NS,
        ports=ports.listed(container),
        labels=container.config.labels,
        state=container.state.status,
        status=status_text(container.state, now),
        host_config=wire.SummaryHostConfig(_network_mode(container.host)),
        network_settings=wire.SummaryNetworkSettings(endpoints(container)),
        mounts=mounts.mount_points(container),
    )
    if item.size is not None:
        document.size_rw = item.size.written
        document.size_root_fs = item.size.total
    return document


def state(value: ContainerState) -> wire.State:
    """`State` of inspect."""
    return wire.State(
        status=value.status,
        running=value.running,
        paused=value.status == "paused",
        restarting=value.status == "restarting",
        oom_killed=value.oom_killed,
        dead=value.status == "dead",
        pid=value.pid,
        exit_code=value.exit_code,
        error=value.error,
        started_at=rfc3339(value.started_at),
        finished_at=rfc3339(value.finished_at),
    )


def status_text(value: ContainerState, now: int) -> str:
    """The `STATUS` column: `Up 5 minutes`, `Exited (0) 2 hours ago`."""
    if value.status == "running":
        return f"Up {human_duration(now - value.started_at)}"
    if value.status == "paused":
        return f"Up {human_duration(now - value.started_at)} (Paused)"
    ago = f"{human_duration(now - value.finished_at)} ago"
    if value.status == "restarting":
        return f"Restarting ({value.exit_code}) {ago}"
    if value.status == "exited":
        return f"Exited ({value.exit_code}) {ago}"
    return {"created": "Created", "removing": "Removal In Progress"}.get(value.status, "Dead")


def config(value: ContainerConfig) -> wire.Config:
    """`Config` of inspect: what the container was asked to be, the image's part merged in."""
    healthcheck = value.healthcheck
    return wire.Config(
        hostname=value.hostname,
        domainname=value.domainname,
        user=value.user,
        attach_stdin=value.attach_stdin,
        attach_stdout=value.attach_stdout,
        attach_stderr=value.attach_stderr,
        exposed_ports={port: {} for port in value.exposed_ports} or None,
        tty=value.tty,
        open_stdin=value.open_stdin,
        stdin_once=value.stdin_once,
        env=list(value.env),
        cmd=None if value.command is None else list(value.command),
        healthcheck=None
        if healthcheck is None
        else wire.Healthcheck(
            list(healthcheck.test),
            healthcheck.interval,
            healthcheck.timeout,
            healthcheck.start_period,
            healthcheck.start_interval,
            healthcheck.retries,
        ),
        image=value.image,
        volumes={path: {} for path in value.volumes} or None,
        working_dir=value.working_dir,
        entrypoint=None if value.entrypoint is None else list(value.entrypoint),
        network_disabled=value.network_disabled or None,
        mac_address=value.mac_address or None,
        on_build=list(value.on_build) or None,
        labels=value.labels,
        stop_signal=value.stop_signal or None,
        stop_timeout=value.stop_timeout,
        shell=None if value.shell is None else list(value.shell),
    )


def host_config(container: Container) -> wire.HostConfig:
    """`HostConfig` of inspect: what was asked for, given back."""
    host = container.host
    document = wire.HostConfig(
        binds=mounts.binds(container),
        container_id_file=host.container_id_file,
        log_config=wire.LogConfig(host.log.driver or "json-file", host.log.options),
        network_mode=_network_mode(host),
        port_bindings=ports.requested(host.port_bindings),
        restart_policy=wire.RestartPolicy(host.restart.name, host.restart.maximum_retry_count),
        auto_remove=host.auto_remove,
        volume_driver=host.volume_driver,
        volumes_from=_list(host.volumes_from),
        console_size=[host.console_height, host.console_width],
        annotations=host.annotations or None,
        cap_add=_list(host.cap_add),
        cap_drop=_list(host.cap_drop),
        cgroupns_mode=host.cgroupns_mode or "private",
        dns=list(host.dns),
        dns_options=list(host.dns_options),
        dns_search=list(host.dns_search),
        extra_hosts=_list(host.extra_hosts),
        group_add=_list(host.group_add),
        ipc_mode=host.ipc_mode or "private",
        links=_list(host.links),
        oom_score_adj=host.oom_score_adj,
        pid_mode=host.pid_mode,
        privileged=host.privileged,
        publish_all_ports=host.publish_all_ports,
        readonly_rootfs=host.read_only_root,
        security_opt=_list(host.security_opt),
        tmpfs=mounts.tmpfs(container),
        uts_mode=host.uts_mode,
        userns_mode=host.userns_mode,
        shm_size=host.shm_size or _DEFAULT_SHM,
        sysctls=host.sysctls or None,
        runtime=host.runtime or "boxship",
        cgroup_parent=host.cgroup_parent,
        devices=[
            wire.DeviceMapping(item.host_path, item.container_path, item.permissions)
            for item in host.devices
        ],
        device_cgroup_rules=_list(host.device_cgroup_rules),
        ulimits=[wire.Ulimit(item.name, item.soft, item.hard) for item in host.ulimits] or None,
        mounts=mounts.mounts(container),
        masked_paths=None if host.masked_paths is None else list(host.masked_paths),
        readonly_paths=None if host.readonly_paths is None else list(host.readonly_paths),
        init=host.init,
    )
    _put_limits(document, host.resources)
    return document


def _put_limits(document: wire.HostConfig, limits: Resources) -> None:
    document.cpu_shares = limits.cpu_shares
    document.memory = limits.memory
    document.nano_cpus = limits.nano_cpus
    document.blkio_weight = limits.blkio_weight
    document.blkio_device_read_bps = _throttles(limits.read_bps)
    document.blkio_device_write_bps = _throttles(limits.write_bps)
    document.blkio_device_read_iops = _throttles(limits.read_iops)
    document.blkio_device_write_iops = _throttles(limits.write_iops)
    document.cpu_period = limits.cpu_period
    document.cpu_quota = limits.cpu_quota
    document.cpuset_cpus = limits.cpuset_cpus
    document.cpuset_mems = limits.cpuset_mems
    document.memory_reservation = limits.memory_reservation
    document.memory_swap = limits.memory_swap
    document.memory_swappiness = limits.memory_swappiness
    document.oom_kill_disable = limits.oom_kill_disable
    document.pids_limit = limits.pids_limit or None


def network_settings(container: Container) -> wire.NetworkSettings:
    """`NetworkSettings` of inspect."""
    settings = wire.NetworkSettings(
        ports=ports.published(container) if container.state.running else {},
        networks=endpoints(container),
        sandbox_id=container.id if container.state.running else "",
        sandbox_key=f"/proc/{container.state.pid}/ns/net" if container.state.pid else "",
    )
    first = container.endpoints.get("bridge")
    if first is not None:
        settings.endpoint_id = first.endpoint_id
        settings.gateway = first.gateway
        settings.ip_address = first.ipv4_address
        settings.ip_prefix_len = first.ipv4_prefix
        settings.global_ipv6_address = first.ipv6_address
        settings.global_ipv6_prefix_len = first.ipv6_prefix
        settings.ipv6_gateway = first.ipv6_gateway
        settings.mac_address = first.mac_address
    return settings


def endpoints(container: Container) -> dict[str, EndpointSettings]:
    """The connections made, or those asked for while the container does not run."""
    made = {name: _endpoint(value) for name, value in container.endpoints.items()}
    for name, request in container.host.networks.items():
        settings = made.setdefault(
            name,
            EndpointSettings(
                aliases=_list(request.aliases),
                links=_list(request.links),
            ),
        )
        settings.mac_address = settings.mac_address or request.mac_address
        settings.driver_opts = dict(request.driver_options) or None
        if request.ipv4_address or request.ipv6_address:
            settings.ipam_config = EndpointIpam(request.ipv4_address, request.ipv6_address)
    mode = _network_mode(container.host)
    if not made and not mode.startswith("container:"):
        made[mode] = EndpointSettings()
    return made


def exec_inspect(value: Exec) -> wire.ExecInspect:
    """Answer to `GET /exec/{id}/json`."""
    settings = value.config
    return wire.ExecInspect(
        id=value.id,
        running=value.running,
        exit_code=value.exit_code,
        process_config=wire.ExecProcessConfig(
            settings.tty,
            settings.argv[0],
            list(settings.argv[1:]),
            settings.privileged,
            settings.user,
        ),
        open_stdin=settings.attach_stdin,
        open_stderr=settings.attach_stderr,
        open_stdout=settings.attach_stdout,
        can_remove=False,
        container_id=value.container_id,
        detach_keys=settings.detach_keys,
        pid=value.pid,
    )


def _endpoint(value: Endpoint) -> EndpointSettings:
    ipam = EndpointIpam(value.requested_ipv4) if value.requested_ipv4 else None
    return EndpointSettings(
        ipam_config=ipam,
        links=_list(value.links),
        aliases=_list(value.aliases),
        mac_address=value.mac_address,
        network_id=value.network_id,
        endpoint_id=value.endpoint_id,
        gateway=value.gateway,
        ip_address=value.ipv4_address,
        ip_prefix_len=value.ipv4_prefix,
        ipv6_gateway=value.ipv6_gateway,
        global_ipv6_address=value.ipv6_address,
        global_ipv6_prefix_len=value.ipv6_prefix,
        dns_names=_list(value.dns_names),
    )


def _network_mode(host: HostConfig) -> str:
    return "bridge" if host.network_mode in ("", "default") else host.network_mode


def _throttles(values: tuple[ThrottleDevice, ...]) -> list[wire.ThrottleDevice]:
    return [wire.ThrottleDevice(item.path, item.rate) for item in values]


def _list(values: tuple[str, ...]) -> list[str] | None:
    return list(values) or None
