"""What a container is asked to be, and what it is: the engine's values, frozen.

Names follow Docker's vocabulary in snake case; the wire shapes live in `boxship.wire` and are
translated in `boxship.api`. Sizes are bytes, times nanoseconds since the epoch (0: never), unless
a name says otherwise.
"""

import msgspec

from boxship.model.digest import Digest


class Healthcheck(msgspec.Struct, frozen=True):
    """A probe of the container's health; durations in nanoseconds, 0 for the default."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ContainerConfig(msgspec.Struct, frozen=True):
    """The portable half: what to run, as whom, with what environment.

    None means: as the image says.
    """

    image: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    hostname: str = ""
    domainname: str = ""
    labels: dict[str, str] = {}
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    stop_timeout: int | None = None
    healthcheck: Healthcheck | None = None
    shell: tuple[str, ...] | None = None
    network_disabled: bool = False
    mac_address: str = ""
    on_build: tuple[str, ...] = ()


class PortBinding(msgspec.Struct, frozen=True):
    """One publication of a container port.

    Attributes:
        container_port: port inside, 1 to 65535.
        protocol: `tcp`, `udp` or `sctp`.
        host_ip: address to publish on; empty for all.
        host_port: first host port; 0 for an ephemeral one.
        host_port_end: last port of a range to choose from, or 0.
    """

    container_port: int
    protocol: str = "tcp"
    host_ip: str = ""
    host_port: int = 0
    host_port_end: int = 0


class MountRequest(msgspec.Struct, frozen=True):
    """A `-v`, `--mount` or `--tmpfs`, in one form.

    Attributes:
        type: `bind`, `volume` or `tmpfs`.
        source: host directory, volume name, or empty for an anonymous volume or tmpfs.
        target: absolute path in the container.
        propagation: `rprivate`, `private`, `rshared`, `shared`, `rslave`, `slave` or empty.
        create_source: make a missing bind source a directory, as `-v` does and `--mount` does not.
        from_binds: came by `-v` or `Binds`, to be shown there again by inspect.
        tmpfs_options: fstab-style options of a tmpfs (`size=64m`).
    """

    type: str
    target: str
    source: str = ""
    read_only: bool = False
    propagation: str = ""
    create_source: bool = False
    no_copy: bool = False
    from_binds: bool = False
    volume_driver: str = ""
    volume_labels: dict[str, str] = {}
    volume_options: dict[str, str] = {}
    tmpfs_options: str = ""
    tmpfs_size: int = 0
    tmpfs_mode: int = 0


class Ulimit(msgspec.Struct, frozen=True):
    """A resource limit by the name ulimit(1) users know (`nofile`); -1 is unlimited."""

    name: str
    soft: int
    hard: int


class DeviceRequest(msgspec.Struct, frozen=True):
    """A host device to show in the container."""

    host_path: str
    container_path: str
    permissions: str = "rwm"


class ThrottleDevice(msgspec.Struct, frozen=True):
    """A block I/O rate for one device: bytes or operations a second."""

    path: str
    rate: int


class Resources(msgspec.Struct, frozen=True):
    """Limits of a container's control group; 0 or empty means no limit."""

    memory: int = 0
    memory_swap: int = 0
    memory_reservation: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool = False
    nano_cpus: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids_limit: int = 0
    blkio_weight: int = 0
    read_bps: tuple[ThrottleDevice, ...] = ()
    write_bps: tuple[ThrottleDevice, ...] = ()
    read_iops: tuple[ThrottleDevice, ...] = ()
    write_iops: tuple[ThrottleDevice, ...] = ()


class RestartPolicy(msgspec.Struct, frozen=True):
    """When the engine starts a container again.

    `no`, `always`, `unless-stopped` or `on-failure` (with a maximum).
    """

    name: str = "no"
    maximum_retry_count: int = 0


class LogConfig(msgspec.Struct, frozen=True):
    """Where output goes: driver `json-file` or `none`, and its options (`max-size`, `max-file`)."""

    driver: str = ""
    options: dict[str, str] = {}


class EndpointRequest(msgspec.Struct, frozen=True):
    """How a container joins one network."""

    aliases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    ipv4_address: str = ""
    ipv6_address: str = ""
    mac_address: str = ""
    driver_options: dict[str, str] = {}


class HostConfig(msgspec.Struct, frozen=True):
    """The host half: how this engine runs the container."""

    mounts: tuple[MountRequest, ...] = ()
    volumes_from: tuple[str, ...] = ()
    port_bindings: tuple[PortBinding, ...] = ()
    publish_all_ports: bool = False
    network_mode: str = "default"
    networks: dict[str, EndpointRequest] = {}
    restart: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    privileged: bool = False
    read_only_root: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    group_add: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    userns_mode: str = ""
    pid_mode: str = ""
    ipc_mode: str = ""
    uts_mode: str = ""
    cgroupns_mode: str = ""
    cgroup_parent: str = ""
    init: bool | None = None
    extra_hosts: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    sysctls: dict[str, str] = {}
    shm_size: int = 0
    oom_score_adj: int = 0
    devices: tuple[DeviceRequest, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()
    resources: Resources = Resources()
    log: LogConfig = LogConfig()
    runtime: str = ""
    console_height: int = 0
    console_width: int = 0
    masked_paths: tuple[str, ...] | None = None
    readonly_paths: tuple[str, ...] | None = None
    annotations: dict[str, str] = {}
    container_id_file: str = ""
    volume_driver: str = ""


class MountPoint(msgspec.Struct, frozen=True):
    """A mount after resolution: real host directory and, for volumes, the volume's name."""

    type: str
    source: str
    target: str
    name: str = ""
    driver: str = ""
    mode: str = ""
    read_only: bool = False
    propagation: str = ""
    tmpfs_options: str = ""
    anonymous: bool = False
    no_copy: bool = False


class Endpoint(msgspec.Struct, frozen=True):
    """A container's connection to one network, as made."""

    network_id: str
    network_name: str
    endpoint_id: str
    ipv4_address: str = ""
    ipv4_prefix: int = 0
    gateway: str = ""
    ipv6_address: str = ""
    ipv6_prefix: int = 0
    ipv6_gateway: str = ""
    mac_address: str = ""
    aliases: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    requested_ipv4: str = ""
    host_link: str = ""
    container_link: str = ""


class PublishedPort(msgspec.Struct, frozen=True):
    """A container port and where it is reachable; host_port 0 when it is exposed only."""

    container_port: int
    protocol: str
    host_ip: str = ""
    host_port: int = 0


class ContainerState(msgspec.Struct, frozen=True):
    """Where a container is in its life.

    Attributes:
        status: `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
        exit_code: of the last process, 128 + n for signal n.
        error: why the last start failed, or empty.
    """

    status: str = "created"
    pid: int = 0
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    started_at: int = 0
    finished_at: int = 0

    @property
    def running(self) -> bool:
        return self.status in ("running", "paused", "restarting")


class Container(msgspec.Struct, frozen=True):
    """The whole record of a container, as the database keeps it.

    Attributes:
        path: argv[0] after entrypoint and command were merged; `args` is the rest.
        user_base: first host id of its user namespace, 0 when it shares the host's.
        manually_stopped: a user stopped it, so `unless-stopped` leaves it.
        volumes_go: its removal has begun, and its anonymous volumes are to be removed too.
    """

    id: str
    name: str
    created: int
    image_id: Digest
    config: ContainerConfig
    host: HostConfig
    state: ContainerState = ContainerState()
    path: str = ""
    args: tuple[str, ...] = ()
    mounts: tuple[MountPoint, ...] = ()
    endpoints: dict[str, Endpoint] = {}
    ports: tuple[PublishedPort, ...] = ()
    restart_count: int = 0
    manually_stopped: bool = False
    user_base: int = 0
    snapshot: str = ""
    log_path: str = ""
    resolv_path: str = ""
    hosts_path: str = ""
    hostname_path: str = ""
    volumes_go: bool = False
