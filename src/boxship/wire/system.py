"""Documents about the engine and its host."""

import msgspec
from msgspec import field

from boxship.wire.container import ContainerSummary
from boxship.wire.image import ImageSummary
from boxship.wire.volume import Volume


class Component(msgspec.Struct, rename="pascal"):
    """A part of the engine and its version."""

    name: str
    version: str
    details: dict[str, str]


class PlatformName(msgspec.Struct, rename="pascal"):
    """`Platform` of the version."""

    name: str


class Version(msgspec.Struct, rename="pascal"):
    """Answer to `GET /version`."""

    platform: PlatformName
    components: list[Component]
    version: str
    api_version: str
    min_api_version: str = field(name="MinAPIVersion")
    git_commit: str
    go_version: str
    os: str
    arch: str
    kernel_version: str
    build_time: str


class Plugins(msgspec.Struct, rename="pascal"):
    """`Plugins` of info."""

    volume: list[str]
    network: list[str]
    authorization: list[str] | None
    log: list[str]


class IndexConfig(msgspec.Struct, rename="pascal"):
    """A registry's entry in info."""

    name: str
    mirrors: list[str]
    secure: bool
    official: bool


class RegistryConfig(msgspec.Struct, rename="pascal"):
    """`RegistryConfig` of info."""

    insecure_registry_cidrs: list[str] = field(name="InsecureRegistryCIDRs")
    index_configs: dict[str, IndexConfig]
    mirrors: list[str]


class Runtime(msgspec.Struct, rename="camel", omit_defaults=True):
    """A runtime's entry in info."""

    path: str
    runtime_args: list[str] = []


class Swarm(msgspec.Struct, rename="pascal"):
    """`Swarm` of info: this engine takes part in none."""

    node_id: str = field(default="", name="NodeID")
    node_addr: str = ""
    local_node_state: str = "inactive"
    control_available: bool = False
    error: str = ""
    remote_managers: list[str] | None = None


class Commit(msgspec.Struct):
    """A component's commit."""

    id: str = field(default="", name="ID")
    expected: str = field(default="", name="Expected")


class Info(msgspec.Struct, rename="pascal"):
    """Answer to `GET /info`."""

    id: str = field(name="ID")
    containers: int
    containers_running: int
    containers_paused: int
    containers_stopped: int
    images: int
    driver: str
    driver_status: list[list[str]]
    plugins: Plugins
    memory_limit: bool
    swap_limit: bool
    cpu_cfs_period: bool
    cpu_cfs_quota: bool
    cpu_shares: bool = field(name="CPUShares")
    cpu_set: bool = field(name="CPUSet")
    pids_limit: bool
    ipv4_forwarding: bool = field(name="IPv4Forwarding")
    debug: bool
    n_fd: int
    n_goroutines: int
    system_time: str
    logging_driver: str
    cgroup_driver: str
    cgroup_version: str
    n_events_listener: int
    kernel_version: str
    operating_system: str
    os_version: str = field(name="OSVersion")
    os_type: str = field(name="OSType")
    architecture: str
    index_server_address: str
    registry_config: RegistryConfig
    ncpu: int = field(name="NCPU")
    mem_total: int
    docker_root_dir: str
    name: str
    labels: list[str]
    server_version: str
    runtimes: dict[str, Runtime]
    default_runtime: str
    security_options: list[str]
    warnings: list[str] | None
    generic_resources: list[str] | None = None
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    experimental_build: bool = False
    oom_kill_disable: bool = True
    bridge_nf_iptables: bool = False
    bridge_nf_ip6tables: bool = field(default=False, name="BridgeNfIp6tables")
    swarm: Swarm = field(default_factory=Swarm)
    live_restore_enabled: bool = True
    isolation: str = ""
    init_binary: str = "boxship"
    containerd_commit: Commit = field(default_factory=Commit)
    runc_commit: Commit = field(default_factory=Commit)
    init_commit: Commit = field(default_factory=Commit)
    product_license: str = "Apache-2.0"


class BuildCache(msgspec.Struct, rename="pascal"):
    """A record of the build cache."""

    id: str = field(name="ID")
    type: str
    size: int


class DiskUsage(msgspec.Struct, rename="pascal"):
    """Answer to `GET /system/df`."""

    layers_size: int
    images: list[ImageSummary]
    containers: list[ContainerSummary]
    volumes: list[Volume]
    build_cache: list[BuildCache]
    builder_size: int = 0


class Actor(msgspec.Struct, rename="pascal"):
    """Whom an event is about."""

    id: str = field(name="ID")
    attributes: dict[str, str]


class Event(msgspec.Struct, omit_defaults=True):
    """One event; `status`, `id` and `from` are what old clients read."""

    type: str = field(name="Type")
    action: str = field(name="Action")
    actor: Actor = field(name="Actor")
    scope: str
    time: int
    time_nano: int = field(name="timeNano")
    status: str = ""
    id: str = ""
    from_: str = field(default="", name="from")


class BuildPruneResponse(msgspec.Struct, rename="pascal"):
    """Answer to `POST /build/prune`."""

    caches_deleted: list[str] | None
    space_reclaimed: int
