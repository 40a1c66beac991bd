"""What is asked of the engine and what it answers, where the model has no word for it yet.

All values are frozen. Times are nanoseconds since the epoch (0: not given), sizes bytes.
"""

from collections.abc import Mapping

import msgspec

from boxship.model.container import Container
from boxship.model.image import Image
from boxship.model.network import Network
from boxship.model.volume import Volume

Filters = Mapping[str, tuple[str, ...]]
"""Filters by name, each with the values of which one (for `label` and `driver`: all) must match."""


class Created(msgspec.Struct, frozen=True):
    """A container as made, and what the user should know about it."""

    container: Container
    warnings: tuple[str, ...] = ()


class WaitResult(msgspec.Struct, frozen=True):
    """How a waited-for container ended.

    Attributes:
        exit_code: of its process; the last known one when it was not running.
        error: why no exit code could be had (the container was removed while starting), or empty.
    """

    exit_code: int
    error: str = ""


class ContainerSize(msgspec.Struct, frozen=True):
    """Disk use: what the container wrote, and that plus its image."""

    written: int
    total: int


class ListedContainer(msgspec.Struct, frozen=True):
    """A container in a listing; its size only when it was asked for."""

    container: Container
    size: ContainerSize | None = None


class ListQuery(msgspec.Struct, frozen=True):
    """Which containers to list: running ones unless `all` or a filter on status says otherwise.

    Attributes:
        limit: the newest so many, whatever their status; 0 for no limit.
        size: count disk use too, which is slow.
    """

    all: bool = False
    limit: int = 0
    size: bool = False
    filters: Filters = {}


class LogQuery(msgspec.Struct, frozen=True):
    """Which part of a container's output to read.

    Attributes:
        tail: the last so many lines; None for all.
        since: entries from this time on.
        until: entries up to this time.
        follow: go on until the container exits.
    """

    stdout: bool = True
    stderr: bool = True
    tail: int | None = None
    since: int = 0
    until: int = 0
    follow: bool = False


class LogEntry(msgspec.Struct, frozen=True):
    """A line of output, its newline included unless the output ended without one.

    Attributes:
        stream: 1 for standard output (all output of a terminal), 2 for standard error.
        time: when the line began.
    """

    stream: int
    time: int
    data: bytes


class AttachRequest(msgspec.Struct, frozen=True):
    """Which streams of a container to connect.

    Attributes:
        stream: connect to what comes; without it only `logs` are sent.
        logs: send first what was written before.
    """

    stream: bool = True
    logs: bool = False
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False


class ExecConfig(msgspec.Struct, frozen=True):
    """A further process to run in a container."""

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    tty: bool = False
    privileged: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach_keys: str = ""


class ExecStart(msgspec.Struct, frozen=True):
    """How to start an exec. Rows and columns are 0 when the terminal's size is unknown."""

    detach: bool = False
    tty: bool = False
    rows: int = 0
    columns: int = 0


class Exec(msgspec.Struct, frozen=True):
    """A further process of a container, and how it does.

    Attributes:
        exit_code: None until it has ended.
    """

    id: str
    container_id: str
    config: ExecConfig
    running: bool = False
    pid: int = 0
    exit_code: int | None = None


class PruneReport(msgspec.Struct, frozen=True):
    """What a prune deleted (ids or names), and the space that it gave back."""

    deleted: tuple[str, ...] = ()
    reclaimed: int = 0


class NetworkDetails(msgspec.Struct, frozen=True):
    """A network and the running containers that are connected to it."""

    network: Network
    containers: tuple[Container, ...] = ()


class VolumeUse(msgspec.Struct, frozen=True):
    """A volume, its size and the number of containers that refer to it."""

    volume: Volume
    size: int
    references: int


class ImageUse(msgspec.Struct, frozen=True):
    """An image and the number of containers made of it."""

    image: Image
    containers: int


class DiskUsage(msgspec.Struct, frozen=True):
    """What takes space: layers and build cache in bytes, the rest by object."""

    layers: int
    images: tuple[ImageUse, ...]
    containers: tuple[ListedContainer, ...]
    volumes: tuple[VolumeUse, ...]
    build_cache: int = 0


class VersionInfo(msgspec.Struct, frozen=True):
    """What this engine is and what it runs on."""

    version: str
    os: str
    architecture: str
    kernel: str
    python: str


class SystemInfo(msgspec.Struct, frozen=True):
    """The state of the engine and its host, as `info` shows it."""

    id: str
    name: str
    version: VersionInfo
    containers: int
    running: int
    paused: int
    stopped: int
    images: int
    data_root: str
    operating_system: str
    os_version: str
    cpus: int
    memory: int
    storage_driver: str
    cgroup_version: int
    security_options: tuple[str, ...]
    labels: tuple[str, ...]
    runtimes: dict[str, tuple[str, ...]]
    default_runtime: str
    log_driver: str
    log_drivers: tuple[str, ...]
    network_drivers: tuple[str, ...]
    volume_drivers: tuple[str, ...]
    insecure_registries: tuple[str, ...]
    registry_mirrors: tuple[str, ...]
    event_listeners: int
    warnings: tuple[str, ...]
    system_time: int
