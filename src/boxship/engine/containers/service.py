"""Containers as the API sees them: finds the container, then leaves it to the verb's file."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress

from boxship.engine.containers import listing, top
from boxship.engine.containers.attach import attach
from boxship.engine.containers.create import create
from boxship.engine.containers.kill import kill, not_running
from boxship.engine.containers.pause import pause, unpause
from boxship.engine.containers.prune import prune
from boxship.engine.containers.remove import remove
from boxship.engine.containers.rename import rename
from boxship.engine.containers.start import start
from boxship.engine.containers.stop import stop
from boxship.engine.context import Context
from boxship.engine.facade import Session
from boxship.engine.logs.reader import read_log
from boxship.engine.values import (
    AttachRequest,
    Created,
    Filters,
    ListedContainer,
    ListQuery,
    LogEntry,
    LogQuery,
    PruneReport,
    WaitResult,
)
from boxship.errors import InvalidArgumentError, NotModifiedError, UnsupportedError
from boxship.model.container import Container, ContainerConfig, HostConfig
from boxship.model.platform import Platform


class ContainerService:
    """See `facade.Containers` for what each method means and raises."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._find = context.store.find

    async def create(
        self,
        name: str | None,
        config: ContainerConfig,
        host: HostConfig,
        platform: Platform | None = None,
    ) -> Created:
        return await create(self._context, name, config, host, platform)

    async def start(self, ref: str) -> None:
        await start(self._context, self._find(ref))

    async def stop(self, ref: str, *, grace: int | None = None, signal: str = "") -> None:
        await stop(self._context, self._find(ref), grace, signal)

    async def restart(self, ref: str, *, grace: int | None = None, signal: str = "") -> None:
        entry = self._find(ref)
        with suppress(NotModifiedError):
            await stop(self._context, entry, grace, signal)
        await start(self._context, entry)
        self._context.tell(entry, "restart")

    async def kill(self, ref: str, signal: str = "") -> None:
        await kill(self._context, self._find(ref), signal)

    def wait(self, ref: str, condition: str = "not-running") -> Awaitable[WaitResult]:
        return self._find(ref).watch(condition)

    async def remove(
        self, ref: str, *, force: bool = False, volumes: bool = False, link: bool = False
    ) -> None:
        if link:
            raise UnsupportedError(
                f"cannot remove link {ref}: links of containers are not objects of their own"
            )
        await remove(self._context, self._find(ref), force=force, volumes=volumes)

    async def rename(self, ref: str, name: str) -> None:
        await rename(self._context, self._find(ref), name)

    async def pause(self, ref: str) -> None:
        await pause(self._context, self._find(ref))

    async def unpause(self, ref: str) -> None:
        await unpause(self._context, self._find(ref))

    def inspect(self, ref: str) -> Container:
        return self._find(ref).container

    async def size(self, ref: str) -> ListedContainer:
        container = self._find(ref).container
        return ListedContainer(container, await listing.measure(self._context, container))

    async def list(self, query: ListQuery) -> tuple[ListedContainer, ...]:
        return await listing.list_containers(self._context, query)

    def logs(self, ref: str, query: LogQuery) -> AsyncIterator[LogEntry]:
        entry = self._find(ref)
        if not (query.stdout or query.stderr):
            raise InvalidArgumentError("Bad parameters: you must choose at least one stream")
        if not entry.container.log_path:
            raise UnsupportedError("configured logging driver does not support reading")
        return read_log(entry.container, query, entry.log_end)

    async def attach(self, ref: str, request: AttachRequest) -> Session:
        return await attach(self._context, self._find(ref), request)

    async def resize(self, ref: str, rows: int, columns: int) -> None:
        entry = self._find(ref)
        if not entry.container.state.pid:
            raise not_running(entry)
        await self._context.supervisor.resize(entry.id, None, rows, columns)
        self._context.tell(entry, "resize", height=str(rows), width=str(columns))

    async def top(self, ref: str) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        return top.top(self._find(ref))

    async def prune(self, filters: Filters) -> PruneReport:
        return await prune(self._context, filters)
