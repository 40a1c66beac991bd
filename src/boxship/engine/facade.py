"""What the engine offers, as Protocols: the contract that the API is written against.

A `ref` is a container's full id, its name (with or without a leading slash) or a prefix of its id
that is unique. Every method that takes one raises NotFoundError `No such container: REF` (and
InvalidArgumentError for an ambiguous prefix) besides what it says itself.
Methods that are not coroutines answer from memory.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, BinaryIO, Protocol

from boxship.engine.values import (
    AttachRequest,
    Created,
    DiskUsage,
    Exec,
    ExecConfig,
    ExecStart,
    Filters,
    ListedContainer,
    ListQuery,
    LogEntry,
    LogQuery,
    NetworkDetails,
    PruneReport,
    SystemInfo,
    VersionInfo,
    WaitResult,
)
from boxship.model.container import Container, ContainerConfig, EndpointRequest, HostConfig
from boxship.model.event import Event
from boxship.model.image import Image
from boxship.model.network import Network, NetworkRequest
from boxship.model.platform import Platform
from boxship.model.registry import Credentials
from boxship.model.volume import Volume

if TYPE_CHECKING:
    from boxship.builder import BuildEvent, BuildRequest
    from boxship.image import Progress, Removed
    from boxship.image.describe import HistoryEntry

    ProgressSink = Callable[[Progress], None]


class Session(Protocol):
    """A live connection to a process's standard streams.

    Attributes:
        tty: output is raw bytes of a terminal; otherwise Docker's stdcopy frames
            (stream, 0, 0, 0, big-endian length, payload), whole or split anywhere.
    """

    @property
    def tty(self) -> bool: ...

    async def read(self) -> bytes:
        """The next piece of output; empty at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send standard input; waits while the process does not read. Ignored once it ended."""
        ...

    async def close_input(self) -> None:
        """End of standard input; output goes on."""
        ...

    def close(self) -> None:
        """Disconnect; the process goes on. Idempotent."""
        ...


class Containers(Protocol):
    """Containers, one verb a method."""

    async def create(
        self,
        name: str | None,
        config: ContainerConfig,
        host: HostConfig,
        platform: Platform | None = None,
    ) -> Created:
        """Make a container of an image; nothing runs yet.

        Raises:
            NotFoundError: `No such image: NAME:TAG`.
            ConflictError: the name is taken.
            InvalidArgumentError: an option is wrong in itself.
            UnsupportedError: an option that this engine cannot honour, by its name.
        """
        ...

    async def start(self, ref: str) -> None:
        """Run the container's process.

        Raises:
            NotModifiedError: it runs already.
            InvalidArgumentError: the command cannot be executed; the container's exit code is 126
                or 127 then.
        """
        ...

    async def stop(self, ref: str, *, grace: int | None = None, signal: str = "") -> None:
        """Send the stop signal, then SIGKILL after `grace` seconds (-1: never; None: default).

        Raises:
            NotModifiedError: it does not run.
        """
        ...

    async def restart(self, ref: str, *, grace: int | None = None, signal: str = "") -> None: ...

    async def kill(self, ref: str, signal: str = "") -> None:
        """Send a signal by name or number; SIGKILL by default.

        Raises:
            ConflictError: it does not run.
            InvalidArgumentError: no such signal.
        """
        ...

    def wait(self, ref: str, condition: str = "not-running") -> Awaitable[WaitResult]:
        """Watch for `not-running`, `next-exit` or `removed`; watching begins with the call."""
        ...

    async def remove(
        self, ref: str, *, force: bool = False, volumes: bool = False, link: bool = False
    ) -> None: ...

    async def rename(self, ref: str, name: str) -> None: ...

    async def pause(self, ref: str) -> None: ...

    async def unpause(self, ref: str) -> None: ...

    def inspect(self, ref: str) -> Container: ...

    async def size(self, ref: str) -> "ListedContainer":
        """Inspect with disk use."""
        ...

    async def list(self, query: ListQuery) -> tuple[ListedContainer, ...]:
        """Newest first."""
        ...

    def logs(self, ref: str, query: LogQuery) -> AsyncIterator[LogEntry]:
        """Output so far, and what follows; refs and query are checked by the call itself.

        Raises:
            UnsupportedError: the container's log driver keeps nothing to read.
        """
        ...

    async def attach(self, ref: str, request: AttachRequest) -> Session:
        """Connect to the container's streams, now or as soon as it starts."""
        ...

    async def resize(self, ref: str, rows: int, columns: int) -> None: ...

    async def top(self, ref: str) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Titles and rows of the processes in the container, as `ps -ef` shows them."""
        ...

    async def prune(self, filters: Filters) -> PruneReport: ...


class Execs(Protocol):
    """Further processes in running containers."""

    async def create(self, ref: str, config: ExecConfig) -> str:
        """Register one and give its id.

        Raises:
            ConflictError: the container does not run or is paused.
        """
        ...

    async def start(self, exec_id: str, request: ExecStart) -> Session | None:
        """Run it; None when detached.

        Raises:
            NotFoundError: `No such exec instance: ID`.
            ConflictError: it was started before, or its container stopped.
            InvalidArgumentError: the command cannot be executed.
        """
        ...

    def inspect(self, exec_id: str) -> Exec: ...

    async def wait(self, exec_id: str) -> Exec:
        """The exec once it has ended."""
        ...

    def of_container(self, container_id: str) -> tuple[str, ...]:
        """Ids of the execs of a container that have not ended."""
        ...

    async def resize(self, exec_id: str, rows: int, columns: int) -> None: ...


class Images(Protocol):
    """The image service, with checks of what containers use."""

    def get(self, name: str) -> Image: ...

    def list(self, filters: Filters, *, all: bool = False) -> tuple[Image, ...]: ...  # noqa: A002

    def history(self, name: str) -> "tuple[HistoryEntry, ...]": ...

    def tag(self, source: str, target: str) -> None: ...

    async def remove(
        self, name: str, *, force: bool = False, no_prune: bool = False
    ) -> "tuple[Removed, ...]": ...

    async def pull(
        self,
        reference: str,
        platform: Platform | None,
        credentials: Credentials | None,
        progress: "ProgressSink",
    ) -> Image: ...

    async def push(
        self, reference: str, credentials: Credentials | None, progress: "ProgressSink"
    ) -> None: ...

    async def load(self, stream: BinaryIO, progress: "ProgressSink") -> tuple[Image, ...]: ...

    async def save(self, names: Sequence[str], out: BinaryIO) -> None: ...

    async def import_(
        self, stream: BinaryIO, reference: str, changes: Sequence[str], message: str
    ) -> Image: ...

    async def bootstrap(self, name: str, progress: "ProgressSink") -> Image: ...

    async def prune(self, filters: Filters) -> PruneReport: ...


class Networks(Protocol):
    """Networks, and containers' connections to them."""

    async def create(self, request: NetworkRequest) -> Network: ...

    async def remove(self, ref: str) -> None: ...

    def inspect(self, ref: str) -> NetworkDetails: ...

    def list(self, filters: Filters) -> tuple[Network, ...]: ...

    async def connect(self, ref: str, container: str, request: EndpointRequest) -> None: ...

    async def disconnect(self, ref: str, container: str, *, force: bool = False) -> None: ...

    async def prune(self, filters: Filters) -> PruneReport: ...


class Volumes(Protocol):
    """Volumes, with checks of what containers use."""

    async def create(
        self,
        name: str,
        driver: str = "local",
        labels: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
    ) -> Volume:
        """Make a volume, or give the one of this name; an empty name makes an anonymous one."""
        ...

    def get(self, name: str) -> Volume: ...

    def list(self, filters: Filters) -> tuple[Volume, ...]: ...

    async def remove(self, name: str, *, force: bool = False) -> None: ...

    async def prune(self, filters: Filters) -> PruneReport: ...


class Builds(Protocol):
    """Images from Dockerfiles."""

    async def build(
        self, request: "BuildRequest", output: "Callable[[BuildEvent], None]"
    ) -> Image: ...

    async def prune(self, filters: Filters) -> PruneReport: ...


class Events(Protocol):
    """What happens, as it happens."""

    def subscribe(
        self, since: int = 0, until: int = 0, filters: Filters | None = None
    ) -> AsyncIterator[Event]:
        """Remembered events from `since` on, then new ones up to `until` (0: for ever).

        Listening begins with the call. Ends at once when `until` is past.
        """
        ...


class System(Protocol):
    """The engine and its host."""

    def version(self) -> VersionInfo: ...

    def info(self) -> SystemInfo: ...

    async def disk_usage(self) -> DiskUsage: ...

    async def login(self, credentials: Credentials) -> str:
        """Check credentials with their registry and give an identity token, or empty."""
        ...


class EngineFacade(Protocol):
    """Everything the API serves."""

    @property
    def containers(self) -> Containers: ...

    @property
    def execs(self) -> Execs: ...

    @property
    def images(self) -> Images: ...

    @property
    def networks(self) -> Networks: ...

    @property
    def volumes(self) -> Volumes: ...

    @property
    def builds(self) -> Builds: ...

    @property
    def events(self) -> Events: ...

    @property
    def system(self) -> System: ...
