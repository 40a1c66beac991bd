"""Every container: its record, written through to the database, and what only memory knows.

All containers are held in memory, so looking one up or listing all costs no query. Only the
event loop's thread touches this.
"""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from boxship import log
from boxship.engine.logs.reader import Ending
from boxship.engine.values import WaitResult
from boxship.errors import ConflictError, InvalidArgumentError, NotFoundError
from boxship.model.container import Container
from boxship.storage.records.records import Records

if TYPE_CHECKING:
    from boxship.engine.containers.sessions import PendingSession

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Container).decode


class Entry:
    """A container, and what belongs to it while this daemon runs.

    Attributes:
        container: the record as it was last saved.
        lock: held while its state changes; never while waiting for its process.
        pending: attached sessions that wait for the next start.
        delay: seconds of the last restart back-off, 0 for none.
        restart: the timer of a restart that is due, if one is.
        stopping: a user's stop or kill is under way, so the exit is not a failure.
        execs: ids of its execs that have not ended.
        log_end: tells followers of its log when it is complete.
        process: the OCI process it was started with, once an exec asked for it.
        removed: it is gone from the store.
    """

    __slots__ = (
        "_waiters",
        "container",
        "delay",
        "execs",
        "lock",
        "log_end",
        "pending",
        "process",
        "removed",
        "restart",
        "stopping",
    )

    def __init__(self, container: Container) -> None:
        self.container = container
        self.lock = asyncio.Lock()
        self.pending: list[PendingSession] = []
        self.delay = 0.0
        self.restart: asyncio.TimerHandle | None = None
        self.stopping = False
        self.execs: set[str] = set()
        self.log_end = Ending(done=True)
        self.process: dict[str, Any] | None = None
        self.removed = False
        self._waiters: list[tuple[str, asyncio.Future[WaitResult]]] = []

    @property
    def id(self) -> str:
        return self.container.id

    def watch(self, condition: str) -> "asyncio.Future[WaitResult]":
        """A future for `not-running`, `next-exit` or `removed`.

        Raises:
            InvalidArgumentError: another condition.
        """
        if condition not in ("not-running", "next-exit", "removed"):
            raise InvalidArgumentError(f'invalid condition: "{condition}"')
        future: asyncio.Future[WaitResult] = asyncio.get_running_loop().create_future()
        state = self.container.state
        if condition == "not-running" and not state.running:
            future.set_result(WaitResult(state.exit_code, state.error))
        else:
            self._waiters.append((condition, future))
            future.add_done_callback(self._forget)
        return future

    def _forget(self, done: "asyncio.Future[WaitResult]") -> None:
        self._waiters = [waiter for waiter in self._waiters if waiter[1] is not done]

    def tell(self, *conditions: str) -> None:
        """Wake those who wait for one of these conditions, with the state as it is now."""
        state = self.container.state
        result = WaitResult(state.exit_code)
        for condition, future in tuple(self._waiters):
            if condition in conditions and not future.done():
                future.set_result(result)

    def cancel_restart(self) -> None:
        if self.restart is not None:
            self.restart.cancel()
            self.restart = None


class ContainerStore:
    """Containers by id, name and prefix of the id."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._entries: dict[str, Entry] = {}
        self._names: dict[str, str] = {}
        self._unreadable: set[str] = set()
        for record in records.list():
            try:
                self._keep(Entry(_decode(record.body)))
            except msgspec.MsgspecError as damaged:
                log.error(
                    f"container {record.id}: its record is damaged, it is left alone: {damaged}"
                )
                self._unreadable.add(record.id)

    def _keep(self, entry: Entry) -> None:
        self._entries[entry.id] = entry
        self._names[entry.container.name] = entry.id

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, container_id: str) -> Entry | None:
        """By full id only."""
        return self._entries.get(container_id)

    def owns(self, container_id: str) -> bool:
        """Whether there is such a container, be its record readable or not."""
        return container_id in self._entries or container_id in self._unreadable

    def find(self, ref: str) -> Entry:
        """By full id, name or unique prefix of the id, in this order.

        Raises:
            NotFoundError: `No such container: REF`.
            InvalidArgumentError: several ids begin with the ref.
        """
        bare = ref.removeprefix("/")
        entry = self._entries.get(bare)
        if entry is not None:
            return entry
        holder = self._names.get(bare)
        if holder is not None:
            return self._entries[holder]
        found = [key for key in self._entries if key.startswith(bare)] if bare else []
        if not found:
            raise NotFoundError(f"No such container: {ref}")
        if len(found) > 1:
            raise InvalidArgumentError(f"multiple IDs found with provided prefix: {ref}")
        return self._entries[found[0]]

    def name_taken(self, name: str) -> bool:
        return name in self._names

    def check_name_free(self, name: str) -> None:
        """Refuse a name that another container has.

        Raises:
            ConflictError: Docker's text, which names the holder.
        """
        holder = self._names.get(name)
        if holder is not None:
            raise ConflictError(
                f'Conflict. The container name "/{name}" is already in use by container '
                f'"{holder}". You have to remove (or rename) that container to be able to '
                "reuse that name."
            )

    def reserve(self, name: str, container_id: str) -> None:
        """Hold a name while its container is being made.

        Raises:
            ConflictError: it is taken.
        """
        self.check_name_free(name)
        self._names[name] = container_id

    def unreserve(self, name: str) -> None:
        """Give up a name that was reserved and not added."""
        self._names.pop(name, None)

    def add(self, container: Container) -> Entry:
        """Keep a new container, whose name was reserved before."""
        self._records.insert(container.id, container.name, _encode(container))
        entry = Entry(container)
        self._keep(entry)
        return entry

    def save(self, entry: Entry, container: Container) -> None:
        """Replace the record, in the database first."""
        if not entry.removed:
            self._records.update(container.id, _encode(container))
        entry.container = container

    def rename(self, entry: Entry, container: Container) -> None:
        """Replace the record and its name.

        Raises:
            ConflictError: the name is taken.
        """
        self.check_name_free(container.name)
        self._records.rename(container.id, container.name, _encode(container))
        self._names.pop(entry.container.name, None)
        self._names[container.name] = container.id
        entry.container = container

    def drop(self, entry: Entry) -> None:
        """Forget a container."""
        self._records.delete(entry.id)
        self._entries.pop(entry.id, None)
        self._names.pop(entry.container.name, None)
        entry.removed = True
