"""One process of a container, its own or an exec session, from clone to the last byte of output.

    created -go-> starting -sync closes-> running -pidfd-> ending -output drained-> ended

A start that fails goes from starting to ended with `failure` set and reports no exit: the request
that started it is told instead.
"""

import errno
import os
import signal
import socket
from collections.abc import Callable
from typing import NamedTuple, Protocol

from boxship.errors import BoxshipError, ConflictError
from boxship.runtime import sync
from boxship.runtime.errors import StartFailedError
from boxship.runtime.keeper import exits
from boxship.runtime.keeper.attach import Client
from boxship.runtime.keeper.logfile import LogFile
from boxship.runtime.keeper.loop import HANGUP, READ, Loop
from boxship.runtime.keeper.messages import Description, Streams
from boxship.runtime.keeper.streams import STDERR, STDOUT, Carry, Input, Output

GRACE_SECONDS = 0.2
"""How long output is read on after the exit when others still hold the pipes open."""

CREATED, STARTING, RUNNING, ENDING, ENDED = range(5)

_DRAIN_LIMIT = 2_097_152
"""Bytes read from one stream at the exit: twice the largest pipe an ordinary user can make."""


class KeeperKernel(exits.ExitSource, Protocol):
    """What of the kernel the keeper uses."""

    def pidfd_open(self, pid: int, /) -> int: ...

    def pidfd_send_signal(self, pidfd: int, signal: int, /) -> None: ...

    def set_terminal_size(self, terminal: int, rows: int, columns: int, /) -> None: ...

    def start_time(self, pid: int, /) -> int: ...

    def pidfd_pid(self, pidfd: int, /) -> int: ...


class Owner(Protocol):
    """Who is told what becomes of a process."""

    def process_started(self, process: "Process") -> None:
        """It executes its program; whoever asked for it was told."""

    def process_exited(self, process: "Process") -> None:
        """The process is reaped; its control group still is as it left it."""

    def process_ended(self, process: "Process") -> None:
        """All output is read and all descriptors are closed; called once."""

    def deposit(self, process: "Process", names: list[str]) -> None: ...

    def withdraw(self, process: "Process", names: list[str]) -> None: ...

    def client_gone(self, client: Client) -> None: ...


class Context(NamedTuple):
    """What all processes of a keeper share.

    Attributes:
        clock: nanoseconds since the epoch.
        carry_dir: directory for unfinished lines.
    """

    loop: Loop
    kernel: KeeperKernel
    owner: Owner
    clock: Callable[[], int]
    carry_dir: str


class Process:
    """See the module's docstring for its life."""

    __slots__ = (
        "_adopted",
        "_born",
        "_clients",
        "_context",
        "_grace",
        "_outputs",
        "_stdin",
        "_sync",
        "_waiters",
        "code",
        "console",
        "description",
        "exited_at",
        "failure",
        "log",
        "pidfd",
        "state",
    )

    def __init__(
        self,
        context: Context,
        description: Description,
        fds: dict[str, int],
        log: LogFile | None,
    ) -> None:
        """Take a process over, new or from another keeper; owns descriptors and log.

        The descriptors: `pidfd`, and of `sync`, `stdin`, `stdout`, `stderr`, `console` those that
        are open.
        """
        self.log = log
        self.description = description
        self._context = context
        self.pidfd = fds["pidfd"]
        self.console = fds.get("console", -1)
        self.code: int | None = None
        self.exited_at = 0
        self.failure: BoxshipError | None = None
        self._clients: list[Client] = []
        self._waiters: list[Callable[[BoxshipError | None], None]] = []
        self._grace = False
        self._adopted = False
        self._born = False
        self._sync = sync.Channel(fds["sync"]) if "sync" in fds else None
        self.state = RUNNING if self._sync is None else CREATED
        self._stdin: Input | None = None
        self._outputs: tuple[Output, ...] = ()
        self._take_streams(fds)
        context.loop.watch(self.pidfd, READ, self._pidfd_ready)
        if self._sync is not None:
            os.set_blocking(self._sync.fileno(), False)
            context.loop.watch(self._sync.fileno(), READ, self._sync_ready)

    @property
    def ending(self) -> bool:
        """The process is gone; what it wrote may still be on its way."""
        return self.state >= ENDING

    @property
    def input_full(self) -> bool:
        """Input has to wait: for the process to read, or for its terminal to be made."""
        if self._stdin is not None:
            return self._stdin.full
        wanted = self.description.terminal and self.description.open_stdin
        return wanted and self.console < 0 and not self.ending

    @property
    def unborn(self) -> bool:
        """An exec session whose process may exist without our having heard of it (sync.BORN)."""
        key = self.description.key
        return key.exec_id is not None and self._sync is not None and not self._born

    @property
    def started(self) -> bool:
        return self.state >= RUNNING and self.failure is None

    def descriptors(self) -> dict[str, int]:
        """What another keeper needs to take over, by name."""
        fds = {"pidfd": self.pidfd}
        if self._sync is not None:
            fds["sync"] = self._sync.fileno()
        if self.console >= 0:
            fds["console"] = self.console
        elif self._stdin is not None:
            fds["stdin"] = self._stdin.fd
        if self.console < 0:
            for output in self._outputs:
                if output.open:
                    fds["stdout" if output.stream == STDOUT else "stderr"] = output.fd
        return fds

    def adopted(self) -> None:
        """It comes from a dead keeper, which may have started it: take up its unfinished lines."""
        self._adopted = True
        for output in self._outputs:
            output.recover()

    def go(self, waiter: Callable[[BoxshipError | None], None]) -> None:
        """Let the process execute its program; the waiter hears None once it does.

        Raises:
            ConflictError: it was started already.
            StartFailedError: it failed before it was started.
        """
        if self._sync is not None:
            self._sync_ready(0)
        if self.failure is not None:
            raise self.failure
        if self.state != CREATED or self._sync is None:
            raise ConflictError(f"{self._name()} was started already")
        self.state = STARTING
        self._waiters.append(waiter)
        try:
            # Before READY was heard: it waits in the socket, which saves a turn of both processes.
            self._sync.send(sync.GO)
        except OSError:
            # It died; why is on the socket or follows from its end.
            return

    def signal(self, signum: int) -> None:
        """Raises ConflictError when the process has ended."""
        if self.ending:
            raise ConflictError(f"{self._name()} is not running")
        try:
            self._context.kernel.pidfd_send_signal(self.pidfd, signum)
        except OSError as e:
            if e.errno != errno.ESRCH:
                raise
            raise ConflictError(f"{self._name()} is not running") from e

    def resize(self, rows: int, columns: int) -> None:
        """Raises ConflictError when the process has no terminal."""
        if self.console < 0:
            raise ConflictError(f"{self._name()} has no terminal")
        self._context.kernel.set_terminal_size(self.console, rows, columns)

    def attach(self, sock: socket.socket, number: int, streams: Streams) -> None:
        """Serve a client; one that comes after the end gets end of file at once."""
        client = Client(self._context.loop, self, sock, number, streams)
        if self.ending:
            client.finish()
            return
        self._clients.append(client)
        self._pace()

    # -- what streams and clients report

    def emit(self, stream: int, data: bytes) -> None:
        raw = self.description.terminal
        for client in tuple(self._clients):
            client.deliver(stream, data, raw)
        if any(client.congested for client in self._clients) and not self.ending:
            for output in self._outputs:
                output.pause()

    def output_closed(self) -> None:
        if self._grace and not any(output.open for output in self._outputs):
            self._end()

    def take_input(self, data: bytes) -> None:
        if self._stdin is not None:
            self._stdin.write(data)

    def input_ended(self) -> None:
        """A client has no more input: that ends the process's stdin, or only the client's part."""
        once = self.description.stdin_once or self.description.key.exec_id is not None
        if self._stdin is not None and once and not self.description.terminal:
            self._stdin.finish()

    def input_closed(self) -> None:
        self._stdin = None
        if not self.description.terminal and not self.ending:
            self._context.owner.withdraw(self, ["stdin"])
        self.input_drained()

    def input_drained(self) -> None:
        for client in tuple(self._clients):
            client.resume_reading()

    def client_relieved(self) -> None:
        self._pace()

    def client_gone(self, client: Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
        self._context.owner.client_gone(client)
        self._pace()

    # -- the process itself

    def _take_streams(self, fds: dict[str, int]) -> None:
        for name, fd in fds.items():
            if name not in ("pidfd", "sync"):
                os.set_blocking(fd, False)
        if self.console >= 0:
            self._take_console()
        elif not self.description.terminal:
            if "stdin" in fds:
                self._stdin = Input(self._context.loop, self, fds["stdin"])
            self._outputs = tuple(
                self._output(fds[name], stream)
                for name, stream in (("stdout", STDOUT), ("stderr", STDERR))
                if name in fds
            )
        self._pace()

    def _take_console(self) -> None:
        # Input has a descriptor of its own because epoll watches each descriptor once.
        self._outputs = (self._output(self.console, STDOUT),)
        if self.description.open_stdin:
            self._stdin = Input(self._context.loop, self, os.dup(self.console))

    def _output(self, fd: int, stream: int) -> Output:
        container, exec_id = self.description.key
        base = f"{self._context.carry_dir}/{container}"
        carry = Carry(f"{base}.{exec_id}.{stream}" if exec_id else f"{base}.{stream}")
        return Output(self._context.loop, self, fd, stream, carry)

    def _pace(self) -> None:
        """Read output unless somebody cannot keep up, or it waits for its first reader."""
        if self.ending or any(client.congested for client in self._clients):
            return
        if self.description.capture and not any(c.takes_output for c in self._clients):
            for output in self._outputs:
                output.pause()
            return
        for output in self._outputs:
            output.resume()

    def listen(self) -> None:
        """Hear what the process said so far."""
        self._sync_ready(0)

    def look_again(self) -> None:
        """It can be reaped by now: whoever traced it, in its container, has let go of it."""
        if not self.ending:
            self._context.loop.change(self.pidfd, READ)

    def _sync_ready(self, _events: int) -> None:
        while self._sync is not None:
            try:
                # A child that ended with our GO unread gives ECONNRESET, which counts as the end
                # and comes before what it said last: ask again.
                message = self._sync.receive() or self._sync.receive()
            except BlockingIOError:
                return
            if message is None:
                self._sync_closed(self._sync)
            else:
                self._handle(message)

    def _handle(self, message: sync.Message) -> None:
        if message.kind == sync.ERROR:
            self.failure = StartFailedError(message.reason, message.text)
        elif message.kind == sync.CONSOLE and message.fds and self.console < 0:
            self.console = message.fds[0]
            os.set_blocking(self.console, False)
            self._take_console()
            self._pace()
            self.input_drained()
            self._context.owner.deposit(self, ["console"])
        elif message.kind == sync.BORN and message.fds and self.unborn and not self.ending:
            self._replace(message.fds[0])
        elif message.kind == sync.HOOKS:
            self.failure = StartFailedError("other", "hooks in the host's namespaces need the CLI")
            self.signal(signal.SIGKILL)

    def _replace(self, pidfd: int) -> None:
        """Watch the process that executes the program; the one that prepared it is a stranger."""
        pid = self._context.kernel.pidfd_pid(pidfd)
        start_time = self._context.kernel.start_time(pid)
        self._context.loop.forget(self.pidfd)
        os.close(self.pidfd)
        self.pidfd, self._born = pidfd, True
        self.description = self.description._replace(pid=pid, start_time=start_time)
        self._context.loop.watch(pidfd, READ, self._pidfd_ready)
        self._context.owner.deposit(self, ["pidfd"])

    def _sync_closed(self, channel: sync.Channel) -> None:
        self._context.loop.forget(channel.fileno())
        channel.close()
        self._sync = None
        if not self.ending:
            self._context.owner.withdraw(self, ["sync"])
        if self.state == STARTING or (self._adopted and self.state == CREATED):
            if self.failure is None:
                self.state = RUNNING
            self._answer()
            if self.failure is None:
                self._context.owner.process_started(self)
        elif self.failure is None and self.state == CREATED:
            self.failure = StartFailedError("other", f"{self._name()} ended before it was started")

    def _answer(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter(self.failure)

    def _pidfd_ready(self, events: int) -> None:
        if self.unborn:
            # It may have ended because another took its place.
            self._sync_ready(0)
            if self._born:
                return
        last = bool(events & HANGUP)
        code = exits.collect(self._context.kernel, self.pidfd, self.description.pid, last=last)
        if code is None:
            # Somebody else's zombie: the hang-up comes when its parent has looked. Or one that is
            # traced, which only its tracer can wait for (ptrace(2)): then comes a SIGCHLD.
            self._context.loop.change(self.pidfd, 0)
            return
        self.exit_with(code)

    def exit_with(self, code: int) -> None:
        """The process ended; read what it left, and wait a little for pipes others hold open."""
        if self.ending:
            return
        self._context.loop.forget(self.pidfd)
        if self._sync is not None:
            self._sync_ready(0)
        self.code = code
        self.exited_at = self._context.clock()
        self.state = ENDING
        self._context.owner.process_exited(self)
        for output in self._outputs:
            output.resume()
            output.drain(_DRAIN_LIMIT)
        if any(output.open for output in self._outputs):
            self._grace = True
            self._context.loop.later(GRACE_SECONDS, self._end)
        else:
            self._end()

    def _end(self) -> None:
        if self.state == ENDED:
            return
        self.state = ENDED
        outputs, self._outputs = self._outputs, ()
        for output in outputs:
            output.close()
        if self._stdin is not None:
            self._stdin.close()
        if self.console >= 0 and not outputs:
            os.close(self.console)
        self.console = -1
        if self.log is not None:
            self.log.close()
        for client in tuple(self._clients):
            client.finish()
        os.close(self.pidfd)
        self._answer()
        self._context.owner.process_ended(self)

    def _name(self) -> str:
        container, exec_id = self.description.key
        return f"exec {exec_id}" if exec_id else f"container {container}"
