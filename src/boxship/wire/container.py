"""Container documents: what a create request carries and what inspect and list answer.

Lists and maps may be null in what Go clients send, so requests type them as optional.
"""

import msgspec
from msgspec import field

from boxship.wire.network import EndpointSettings

Strings = list[str] | None
Empty = dict[str, str]


class Healthcheck(msgspec.Struct, rename="pascal", omit_defaults=True):
    """`Healthcheck`; durations in nanoseconds."""

    test: Strings = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Config(msgspec.Struct, rename="pascal"):
    """The portable configuration (`Config`)."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, Empty | None] | None = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: Strings = None
    cmd: list[str] | str | None = None
    healthcheck: Healthcheck | None = None
    args_escaped: bool | None = None
    image: str = ""
    volumes: dict[str, Empty | None] | None = None
    working_dir: str = ""
    entrypoint: list[str] | str | None = None
    network_disabled: bool | None = None
    mac_address: str | None = None
    on_build: Strings = None
    labels: dict[str, str] | None = None
    stop_signal: str | None = None
    stop_timeout: int | None = None
    shell: Strings = None


class PortBinding(msgspec.Struct):
    """One host side of a published port; ports are strings."""

    host_ip: str | None = field(default="", name="HostIp")
    host_port: str | None = field(default="", name="HostPort")


class RestartPolicy(msgspec.Struct, rename="pascal"):
    """`RestartPolicy`."""

    name: str = ""
    maximum_retry_count: int = 0


class LogConfig(msgspec.Struct, rename="pascal"):
    """`LogConfig`."""

    type: str = ""
    config: dict[str, str] | None = None


class Ulimit(msgspec.Struct, rename="pascal"):
    """One of `Ulimits`."""

    name: str
    soft: int = 0
    hard: int = 0


class DeviceMapping(msgspec.Struct, rename="pascal"):
    """One of `Devices`."""

    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class ThrottleDevice(msgspec.Struct, rename="pascal"):
    """A rate for one block device."""

    path: str
    rate: int


class WeightDevice(msgspec.Struct, rename="pascal"):
    """A weight for one block device."""

    path: str
    weight: int


class BindOptions(msgspec.Struct, rename="pascal", omit_defaults=True):
    """`BindOptions` of a mount."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class DriverConfig(msgspec.Struct, rename="pascal", omit_defaults=True):
    """`DriverConfig` of a volume mount."""

    name: str = ""
    options: dict[str, str] | None = None


class VolumeOptions(msgspec.Struct, rename="pascal", omit_defaults=True):
    """`VolumeOptions` of a mount."""

    no_copy: bool = False
    labels: dict[str, str] | None = None
    driver_config: DriverConfig | None = None
    subpath: str = ""


class TmpfsOptions(msgspec.Struct, rename="pascal", omit_defaults=True):
    """`TmpfsOptions` of a mount."""

    size_bytes: int = 0
    mode: int = 0
    options: list[list[str]] | None = None


class Mount(msgspec.Struct, rename="pascal", omit_defaults=True):
    """One of `Mounts` in a create request."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class HostConfig(msgspec.Struct, rename="pascal"):
    """`HostConfig`: how this host runs the container."""

    binds: Strings = None
    container_id_file: str = field(default="", name="ContainerIDFile")
    log_config: LogConfig | None = None
    network_mode: str = ""
    port_bindings: dict[str, list[PortBinding] | None] | None = None
    restart_policy: RestartPolicy | None = None
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: Strings = None
    console_size: list[int] | None = None
    annotations: dict[str, str] | None = None
    cap_add: Strings = None
    cap_drop: Strings = None
    cgroupns_mode: str = ""
    dns: Strings = None
    dns_options: Strings = None
    dns_search: Strings = None
    extra_hosts: Strings = None
    group_add: Strings = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: Strings = None
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: Strings = None
    storage_opt: dict[str, str] | None = None
    tmpfs: dict[str, str] | None = None
    uts_mode: str = field(default="", name="UTSMode")
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: dict[str, str] | None = None
    runtime: str = ""
    isolation: str = ""
    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: list[WeightDevice] | None = None
    blkio_device_read_bps: list[ThrottleDevice] | None = None
    blkio_device_write_bps: list[ThrottleDevice] | None = None
    blkio_device_read_iops: list[ThrottleDevice] | None = field(
        default=None, name="BlkioDeviceReadIOps"
    )
    blkio_device_write_iops: list[ThrottleDevice] | None = field(
        default=None, name="BlkioDeviceWriteIOps"
    )
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[DeviceMapping] | None = None
    device_cgroup_rules: Strings = None
    device_requests: list[msgspec.Raw] | None = None
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: int | None = None
    ulimits: list[Ulimit] | None = None
    cpu_count: int = 0
    cpu_percent: int = 0
    io_maximum_iops: int = field(default=0, name="IOMaximumIOps")
    io_maximum_bandwidth: int = field(default=0, name="IOMaximumBandwidth")
    mounts: list[Mount] | None = None
    masked_paths: Strings = None
    readonly_paths: Strings = None
    init: bool | None = None


class NetworkingConfig(msgspec.Struct, rename="pascal"):
    """`NetworkingConfig` of a create request."""

    endpoints_config: dict[str, EndpointSettings | None] | None = None


class CreateRequest(Config):
    """The body of `POST /containers/create`: a configuration and its host half."""

    host_config: HostConfig | None = None
    networking_config: NetworkingConfig | None = None


class CreateResponse(msgspec.Struct, rename="pascal"):
    """Answer to create."""

    id: str
    warnings: list[str] = []


class State(msgspec.Struct, rename="pascal"):
    """`State` of inspect."""

    status: str
    running: bool
    paused: bool
    restarting: bool
    oom_killed: bool = field(name="OOMKilled")
    dead: bool
    pid: int
    exit_code: int
    error: str
    started_at: str
    finished_at: str


class MountPoint(msgspec.Struct, rename="pascal", omit_defaults=True):
    """One of `Mounts` of inspect and list."""

    type: str
    source: str
    destination: str
    name: str = ""
    driver: str = ""
    mode: str | None = None
    rw: bool | None = field(default=None, name="RW")
    propagation: str | None = None


class Address(msgspec.Struct, rename="pascal"):
    """An address with its prefix length."""

    addr: str
    prefix_len: int


class NetworkSettings(msgspec.Struct, rename="pascal"):
    """`NetworkSettings` of inspect, with the default network's fields that old clients read."""

    ports: dict[str, list[PortBinding] | None]
    networks: dict[str, EndpointSettings]
    bridge: str = ""
    sandbox_id: str = field(default="", name="SandboxID")
    sandbox_key: str = ""
    hairpin_mode: bool = False
    link_local_ipv6_address: str = field(default="", name="LinkLocalIPv6Address")
    link_local_ipv6_prefix_len: int = field(default=0, name="LinkLocalIPv6PrefixLen")
    secondary_ip_addresses: list[Address] | None = field(default=None, name="SecondaryIPAddresses")
    secondary_ipv6_addresses: list[Address] | None = field(
        default=None, name="SecondaryIPv6Addresses"
    )
    endpoint_id: str = field(default="", name="EndpointID")
    gateway: str = ""
    global_ipv6_address: str = field(default="", name="GlobalIPv6Address")
    global_ipv6_prefix_len: int = field(default=0, name="GlobalIPv6PrefixLen")
    ip_address: str = field(default="", name="IPAddress")
    ip_prefix_len: int = field(default=0, name="IPPrefixLen")
    ipv6_gateway: str = field(default="", name="IPv6Gateway")
    mac_address: str = ""


class GraphDriver(msgspec.Struct, rename="pascal"):
    """`GraphDriver`: where the root file system comes from."""

    name: str
    data: dict[str, str] | None = None


class ContainerInspect(msgspec.Struct, rename="pascal"):
    """Answer to `GET /containers/{id}/json`."""

    id: str
    created: str
    path: str
    args: list[str]
    state: State
    image: str
    name: str
    host_config: HostConfig
    config: Config
    network_settings: NetworkSettings
    mounts: list[MountPoint]
    graph_driver: GraphDriver
    resolv_conf_path: str = ""
    hostname_path: str = ""
    hosts_path: str = ""
    log_path: str = ""
    restart_count: int = 0
    driver: str = "overlay2"
    platform: str = "linux"
    mount_label: str = ""
    process_label: str = ""
    app_armor_profile: str = ""
    exec_ids: list[str] | None = field(default=None, name="ExecIDs")
    size_rw: int | msgspec.UnsetType = msgspec.UNSET
    size_root_fs: int | msgspec.UnsetType = msgspec.UNSET


class Port(msgspec.Struct, rename="pascal", omit_defaults=True):
    """One of `Ports` of a listing."""

    private_port: int
    type: str
    ip: str = field(default="", name="IP")
    public_port: int = 0


class SummaryHostConfig(msgspec.Struct, rename="pascal"):
    """`HostConfig` of a listing."""

    network_mode: str


class SummaryNetworkSettings(msgspec.Struct, rename="pascal"):
    """`NetworkSettings` of a listing."""

    networks: dict[str, EndpointSettings]


class ContainerSummary(msgspec.Struct, rename="pascal"):
    """One of the answer to `GET /containers/json`; `Created` in seconds."""

    id: str
    names: list[str]
    image: str
    image_id: str = field(name="ImageID")
    command: str
    created: int
    ports: list[Port]
    labels: dict[str, str]
    state: str
    status: str
    host_config: SummaryHostConfig
    network_settings: SummaryNetworkSettings
    mounts: list[MountPoint]
    size_rw: int | msgspec.UnsetType = msgspec.UNSET
    size_root_fs: int | msgspec.UnsetType = msgspec.UNSET


class WaitError(msgspec.Struct, rename="pascal"):
    """`Error` of a wait."""

    message: str


class WaitResponse(msgspec.Struct, rename="pascal", omit_defaults=True):
    """Answer to wait."""

    status_code: int
    error: WaitError | None = None


class TopResponse(msgspec.Struct, rename="pascal"):
    """Answer to top."""

    titles: list[str]
    processes: list[list[str]]


class ExecCreateRequest(msgspec.Struct, rename="pascal"):
    """Body of `POST /containers/{id}/exec`."""

    cmd: list[str] | str | None = None
    env: Strings = None
    user: str = ""
    working_dir: str = ""
    tty: bool = False
    privileged: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach_keys: str = ""
    # Go reads names whatever their case, and docker-py sends this one so.
    detach_keys_too: str = field(default="", name="detachKeys")
    detach: bool = False
    console_size: list[int] | None = None


class ExecStartRequest(msgspec.Struct, rename="pascal"):
    """Body of `POST /exec/{id}/start`."""

    detach: bool = False
    tty: bool = False
    console_size: list[int] | None = None


class IdResponse(msgspec.Struct, rename="pascal"):
    """An answer that is an id."""

    id: str


class ExecProcessConfig(msgspec.Struct):
    """`ProcessConfig` of an exec."""

    tty: bool
    entrypoint: str
    arguments: list[str]
    privileged: bool
    user: str = ""


class ExecInspect(msgspec.Struct):
    """Answer to `GET /exec/{id}/json`."""

    id: str = field(name="ID")
    running: bool = field(name="Running")
    exit_code: int | None = field(name="ExitCode")
    process_config: ExecProcessConfig = field(name="ProcessConfig")
    open_stdin: bool = field(name="OpenStdin")
    open_stderr: bool = field(name="OpenStderr")
    open_stdout: bool = field(name="OpenStdout")
    can_remove: bool = field(name="CanRemove")
    container_id: str = field(name="ContainerID")
    detach_keys: str = field(name="DetachKeys")
    pid: int = field(name="Pid")


class PruneResponse(msgspec.Struct, rename="pascal"):
    """Answer to `POST /containers/prune`."""

    containers_deleted: list[str] | None
    space_reclaimed: int


class RestartRequest(msgspec.Struct, rename="pascal"):
    """A body that some old clients send to start; its fields are ignored as Docker does."""
