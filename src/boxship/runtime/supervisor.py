"""Containers' processes, for the daemon: asks the keeper, and never lets it stay dead.

A keeper is started when none answers. When it dies, the next one gets every descriptor that was
deposited here, and containers, their output and their attach clients go on.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from boxship import log
from boxship.__version__ import __version__
from boxship.errors import BoxshipError, ConflictError, UnavailableError
from boxship.runtime.channel import close_all
from boxship.runtime.deposits import Client, Deposits
from boxship.runtime.keeper import messages
from boxship.runtime.keeper.messages import ExecState, Exit, Key, LogTarget, Message, Streams
from boxship.runtime.keeper_greeting import end_keeper, say_hello
from boxship.runtime.keeper_link import KeeperDeadError, KeeperLink, KeeperLostError
from boxship.runtime.keeper_start import Connected, connect_keeper

AttachStreams = Streams

_CONNECT_ATTEMPTS = 500
_CONNECT_PAUSE = 0.01
_RESTARTS = 5


class RootMountLike(Protocol):
    """A mount of a root file system: `boxship.model.mount.Mount` or `runtime.spawn.RootMount`."""

    @property
    def type(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def options(self) -> tuple[str, ...]: ...


class CreateRequest(NamedTuple):
    """What to make a container's process from.

    Attributes:
        bundle: absolute path of the OCI bundle directory.
        rootfs: mounts of the root file system; empty for the bundle's root directory as it is.
        open_stdin: keep stdin open; without it the process reads end of file.
        stdin_once: the first attached client's end of input closes stdin.
        log: where output is logged, or None.
        capture: hold output back until the first client attaches, so that none is missed.
        runtime: command line of an external OCI runtime to make it; empty for ours.
    """

    id: str
    bundle: str
    rootfs: tuple[RootMountLike, ...]
    terminal: bool
    open_stdin: bool
    stdin_once: bool
    log: LogTarget | None
    capture: bool = False
    runtime: tuple[str, ...] = ()


class ExecRequest(NamedTuple):
    """A further process in a container; `process` is an OCI process object."""

    container_id: str
    exec_id: str
    process: dict[str, Any]
    terminal: bool
    open_stdin: bool


class Status(NamedTuple):
    """What the keeper knows of one container.

    Attributes:
        running: its process lives and was started.
        started: it was started at some time; False for one that was only created.
        exit: how it ended, until `delete`.
    """

    container_id: str
    pid: int
    running: bool
    exit: Exit | None
    execs: tuple[ExecState, ...] = ()
    started: bool = True
    paused: bool = False


class Supervisor:
    """All containers of one run-time directory. Make it with `connect`.

    Every method raises NotFoundError for a container the keeper does not know, ConflictError for
    one that is not running where it must, and UnavailableError when the keeper cannot answer.
    """

    def __init__(self, exec_root: Path, on_exit: Callable[[Exit], None], launcher: str) -> None:
        self._exec_root = exec_root
        self._on_exit = on_exit
        self._launcher = launcher
        self._deposits = Deposits()
        self._link: KeeperLink | None = None
        self._ready = asyncio.Event()
        self._closed = False
        self._clients = 0
        self._keeper_pid = 0
        self._keeper_pidfd = -1
        self._ended = asyncio.Event()
        self._launcher_pid = 0

    @classmethod
    async def connect(
        cls, exec_root: Path, *, on_exit: Callable[[Exit], None], launcher: str = ""
    ) -> "Supervisor":
        """Connect to the keeper of a run-time directory, starting one if none answers.

        Args:
            exec_root: where the keeper has its socket, records and log.
            on_exit: called on the event loop for each process that ends from now on, and again
                when a keeper dies before the exit was dealt with by `delete`;
                `statuses` tells of those that ended before.
            launcher: Python file to run as launcher in place of ours.

        Raises:
            UnavailableError: there is no keeper and none can be started.
        """
        supervisor = cls(exec_root, on_exit, launcher)
        await supervisor._connect()
        return supervisor

    @property
    def keeper_pid(self) -> int:
        return self._keeper_pid

    @property
    def launcher_pid(self) -> int:
        """The launcher's pid when the keeper was connected; it may have been replaced since."""
        return self._launcher_pid

    async def create(self, request: CreateRequest) -> int:
        """Make a container's process and return its pid: its namespaces exist from now on."""
        rootfs = [[m.type, m.source, list(m.options)] for m in request.rootfs]
        message = messages.Create(
            request.id,
            request.bundle,
            rootfs,
            request.terminal,
            request.open_stdin,
            request.stdin_once,
            request.capture,
            request.log,
            request.runtime,
        )
        try:
            return int(await self._call(message))
        except KeeperLostError:
            await self._undo_create(request)
            raise

    async def start(self, container_id: str) -> None:
        """Execute a created container's program; returns when it runs.

        Raises:
            StartFailedError: the program, its directory or its user is wrong; no exit follows.
        """
        try:
            await self._call(messages.Start(container_id))
        except KeeperLostError:
            # The dead keeper may or may not have started it, and started is what was asked for.
            with contextlib.suppress(ConflictError):
                await self._call(messages.Start(container_id))

    async def exec(
        self, request: ExecRequest, attach: AttachStreams | None = None
    ) -> tuple[int, socket.socket | None]:
        """Start a process in a container; with `attach`, its streams, of which nothing is missed.

        Returns:
            Its pid and the attached socket (see `attach`).

        Raises:
            StartFailedError: the program cannot be started; no exit follows.
        """

        def message(client: int) -> messages.Exec:
            return messages.Exec(*request, client, attach)

        if attach is None:
            return int(await self._call(message(0))), None
        key = Key(request.container_id, request.exec_id)
        pid, sock = await self._call_with_socket(message, key, attach)
        return int(pid), sock

    async def signal(self, container_id: str, signum: int) -> None:
        await self._repeat(messages.Signal(Key(container_id), signum))

    async def signal_exec(self, container_id: str, exec_id: str, signum: int) -> None:
        await self._repeat(messages.Signal(Key(container_id, exec_id), signum))

    async def resize(self, container_id: str, exec_id: str | None, rows: int, cols: int) -> None:
        """Set a terminal's size; raises ConflictError when the process has none."""
        await self._repeat(messages.Resize(Key(container_id, exec_id), rows, cols))

    async def attach(
        self,
        container_id: str,
        exec_id: str | None = None,
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
    ) -> socket.socket:
        """A process's streams from now on, on one non-blocking socket; the caller closes it.

        Reads give Docker's stdcopy frames, or raw bytes with a terminal, and end of file once the
        process ended and all its output was delivered. Writes are input; SHUT_WR ends it.
        """
        streams = Streams(stdin, stdout, stderr)
        key = Key(container_id, exec_id)
        _, sock = await self._call_with_socket(
            lambda client: messages.Attach(key, client, streams), key, streams
        )
        return sock

    async def pause(self, container_id: str) -> None:
        await self._call(messages.Pause(container_id))

    async def resume(self, container_id: str) -> None:
        await self._call(messages.Resume(container_id))

    async def update(self, container_id: str, resources: Mapping[str, Any]) -> list[str]:
        """Set limits (OCI `linux.resources`) of a running container; returns warnings."""
        return list(await self._repeat(messages.Update(container_id, dict(resources))))

    async def delete(self, container_id: str) -> None:
        """Forget a container: kill it if it runs, remove its control group. No error if unknown."""
        await self._repeat(messages.Delete(container_id))

    async def discard(self, container_id: str, bundle: str, runtime: tuple[str, ...] = ()) -> None:
        """Remove what is left of a container whose creation was cut short."""
        await self._repeat(messages.Discard(container_id, bundle, runtime))

    async def statuses(self) -> list[Status]:
        """All containers the keeper knows, those included that ended while nobody was connected."""
        found = [messages.state_of(fields) for fields in await self._repeat(messages.Statuses())]
        return [
            Status(
                s.id,
                s.pid,
                s.started and s.exit is None,
                s.exit,
                tuple(s.execs),
                s.started,
                s.paused,
            )
            for s in found
        ]

    async def shutdown(self) -> None:
        """End the keeper, and this supervisor.

        Raises:
            ConflictError: containers are running.
        """
        self._closed = True
        try:
            await self._call(messages.Shutdown())
        except ConflictError:
            self._closed = False
            raise
        await self._ended.wait()
        await self.close()

    async def close(self) -> None:
        """Leave the keeper and its containers as they are."""
        self._closed = True
        if self._link is not None:
            self._link.close()
        self._forget_keeper()
        self._deposits.clear()

    # -- asking

    async def _call(self, message: Message) -> Any:
        for _ in range(_RESTARTS):
            with contextlib.suppress(KeeperDeadError):
                return await self._call_once(message)
        return await self._call_once(message)

    async def _call_once(self, message: Message, fds: tuple[int, ...] = ()) -> Any:
        await self._ready.wait()
        if self._link is None:
            why = "belongs to another daemon now" if self._closed else "cannot be started"
            raise UnavailableError(
                f"the keeper {why}", hint=f"see {self._exec_root / 'keeper.log'}"
            )
        return await self._link.request(message, fds)

    async def _repeat(self, message: Message) -> Any:
        """Ask, and ask the next keeper if this one dies: for what may be done twice."""
        for _ in range(_RESTARTS):
            try:
                return await self._call(message)
            except KeeperLostError:
                if self._closed:
                    raise
        return await self._call(message)

    async def _call_with_socket(
        self, message: Callable[[int], Message], key: Key, streams: Streams
    ) -> tuple[Any, socket.socket]:
        """Ask with a socket for a new client, whose number `message` is made with."""
        for _ in range(_RESTARTS):
            # Each time another socket: the next keeper got the last one handed over as a client's.
            with contextlib.suppress(KeeperDeadError):
                return await self._call_once_with_socket(message, key, streams)
        return await self._call_once_with_socket(message, key, streams)

    async def _call_once_with_socket(
        self, message: Callable[[int], Message], key: Key, streams: Streams
    ) -> tuple[Any, socket.socket]:
        self._clients += 1
        number = self._clients
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._deposits.put_client(number, Client(key, streams, theirs.detach()))
        try:
            fd = self._deposits.clients()[number].fd
            return await self._call_once(message(number), (fd,)), ours
        except BaseException:
            ours.close()
            self._deposits.withdraw_client(number)
            raise

    async def _undo_create(self, request: CreateRequest) -> None:
        try:
            await self._repeat(messages.Delete(request.id))
            await self.discard(request.id, request.bundle, request.runtime)
        except BoxshipError as e:
            log.error(f"container {request.id}: left half made: {e}")

    # -- staying connected

    async def _connect(self) -> None:
        """Connect and bring a keeper that was started up to date."""
        connected = await self._reach()
        link = KeeperLink(connected.sock, on_report=self._reported, on_lost=self._lost)
        if connected.pidfd >= 0:
            self._reap_keeper(connected.pidfd)
        try:
            version = await self._greet(link, fresh=connected.pidfd >= 0)
            if link.closed:
                raise KeeperLostError("the keeper ended as soon as it was there")
        except BoxshipError:
            link.close()
            raise
        if version != __version__:
            # It is another version's, and has just deposited everything: as if it had died.
            log.info(f"replacing the keeper of boxship {version or 'before 0.2'} by our own")
            await end_keeper(link, self._keeper_pid)
            await self._connect()
            return
        self._link = link
        self._ready.set()

    async def _greet(self, link: KeeperLink, *, fresh: bool) -> str:
        """Introduce ourselves; the keeper's version, empty for one that does not tell."""
        old, self._deposits = self._deposits, Deposits()
        try:
            answer = await say_hello(link, self._exec_root)
        except BoxshipError:
            # It was about to die: what it had deposited is still what its successor needs.
            self._deposits.clear()
            self._deposits = old
            raise
        self._keeper_pid = int(answer["pid"])
        self._launcher_pid = int(answer["launcher"])
        if fresh:
            self._deposits = old
            await self._restore(link)
        else:
            # It has everything, and has just deposited it anew.
            self._deposits.take_clients(old)
            old.clear()
        return str(answer.get("version", ""))

    async def _reach(self) -> Connected:
        for _ in range(_CONNECT_ATTEMPTS):
            connected = connect_keeper(self._exec_root, self._launcher)
            if connected is not None:
                return connected
            await asyncio.sleep(_CONNECT_PAUSE)
        raise UnavailableError(
            f"the keeper of {self._exec_root} holds its lock but does not answer",
            hint=f"see {self._exec_root / 'keeper.log'}; kill it and its containers go on",
        )

    async def _restore(self, link: KeeperLink) -> None:
        for deposit in self._deposits.processes():
            names = list(deposit.fds)
            fds = tuple(deposit.fds.values())
            await self._hand_over(link, messages.Restore(deposit.description, names), fds)
        for number, client in self._deposits.clients().items():
            message = messages.RestoreClient(client.key, number, client.streams)
            if not await self._hand_over(link, message, (client.fd,)):
                self._deposits.withdraw_client(number)
        await link.request(messages.Recover())

    async def _hand_over(self, link: KeeperLink, message: Message, fds: tuple[int, ...]) -> bool:
        try:
            await link.request(message, fds)
        except KeeperLostError:
            raise
        except BoxshipError as e:
            log.error(f"the new keeper did not take over {message}: {e}")
            return False
        return True

    def _lost(self, link: KeeperLink, why: str) -> None:
        if link is not self._link:
            # Still being connected: that fails, and is tried again, where it is done.
            return
        self._ready.clear()
        self._link = None
        if self._closed:
            self._ready.set()
            self._ended.set()
            return
        log.warn(f"the keeper is gone: {why}")
        log.create_task(self._reconnect(), "reconnect to the keeper")

    async def _reconnect(self) -> None:
        for attempt in range(_RESTARTS):
            if self._closed:
                break
            try:
                await self._connect()
            except BoxshipError as e:
                log.error(f"keeper: {e} (attempt {attempt + 1} of {_RESTARTS})")
            else:
                log.create_task(self._tell_again(), "ask the new keeper for exits")
                return
        self._ready.set()

    async def _tell_again(self) -> None:
        """Announce every exit the keeper has on record: the dead one may not have come to it."""
        for status in await self.statuses():
            ended = (status.exit, *(each.exit for each in status.execs))
            for one in ended:
                if one is not None:
                    self._on_exit(one)

    def _reap_keeper(self, pidfd: int) -> None:
        """A keeper we started is our child: take its zombie when it ends."""
        self._forget_keeper()
        self._keeper_pidfd = pidfd

        def ended() -> None:
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
            self._forget_keeper()

        asyncio.get_running_loop().add_reader(pidfd, ended)

    def _forget_keeper(self) -> None:
        if self._keeper_pidfd < 0:
            return
        asyncio.get_running_loop().remove_reader(self._keeper_pidfd)
        # A killed one may not have been looked at yet.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._keeper_pidfd, os.WEXITED | os.WNOHANG)
        os.close(self._keeper_pidfd)
        self._keeper_pidfd = -1

    def _reported(self, message: Message, fds: list[int]) -> None:
        if isinstance(message, messages.Deposited):
            self._deposits.put(message.description, dict(zip(message.names, fds, strict=True)))
            return
        close_all(fds)
        if isinstance(message, messages.Withdrawn):
            self._deposits.withdraw(message.key, message.names)
        elif isinstance(message, messages.ClientGone):
            self._deposits.withdraw_client(message.client)
        elif isinstance(message, messages.TakenOver):
            log.warn("another daemon took the keeper over")
            self._closed = True
        elif isinstance(message, messages.Exited):
            self._on_exit(message.exit)
