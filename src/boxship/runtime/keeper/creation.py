"""From a request to a process: its pipes, the launcher's clone, and the process that watches it."""

import os
from collections.abc import Callable
from typing import NamedTuple

from boxship import log
from boxship.errors import BoxshipError, InternalError
from boxship.runtime.channel import close_all
from boxship.runtime.keeper import messages
from boxship.runtime.keeper.external import External
from boxship.runtime.keeper.forker import Answer, Forker
from boxship.runtime.keeper.logfile import LogFile, open_log
from boxship.runtime.keeper.messages import Cloned, Description, Key, Spawn, SpawnExec
from boxship.runtime.keeper.process import Context, Process

Born = Callable[[Process | BoxshipError], None]


class Stdio(NamedTuple):
    """Both ends of a new process's streams: the keeper's by name, the process's as 0, 1, 2."""

    ours: dict[str, int]
    theirs: tuple[int, ...]


class Parents(NamedTuple):
    """Who makes processes, and who watches them."""

    context: Context
    forker: Forker
    external: External

    def request(
        self,
        description: Description,
        message: Spawn | SpawnExec,
        fds: tuple[int, ...],
        answer: Answer,
    ) -> None:
        """Have a process made by who makes those of its container."""
        if description.runtime:
            container_id = description.key.container_id
            self.external.request(description.runtime, container_id, message, fds, answer)
        else:
            self.forker.request(message, fds, answer)


def make_stdio(*, terminal: bool, open_stdin: bool) -> Stdio:
    """Pipes for a new process; none with a terminal, which the process makes for itself.

    Raises:
        OSError: no descriptors are left.
    """
    if terminal:
        return Stdio({}, ())
    ours: dict[str, int] = {}
    theirs: list[int] = []
    try:
        if open_stdin:
            reader, ours["stdin"] = os.pipe2(os.O_CLOEXEC)
        else:
            reader = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        theirs.append(reader)
        for name in ("stdout", "stderr"):
            ours[name], writer = _output_pipe()
            theirs.append(writer)
    except OSError:
        close_all([*ours.values(), *theirs])
        raise
    return Stdio(ours, tuple(theirs))


def _output_pipe() -> tuple[int, int]:
    """A pipe whose writing end can read too.

    So it has a reader as long as the process has it: when keeper and daemon die together, output
    waits in it for the next keeper, where a plain pipe would kill the process by SIGPIPE.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.close(writer)
    try:
        return reader, os.open(f"/proc/self/fd/{reader}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        os.close(reader)
        raise


def create(parents: Parents, request: messages.Create, born: Born) -> None:
    """Make a container's process.

    Raises:
        InvalidArgumentError: its log cannot be opened.
        OSError: no descriptors are left.
    """
    log_file = open_log(request.log, parents.context.clock)
    try:
        stdio = make_stdio(terminal=request.terminal, open_stdin=request.open_stdin)
    except OSError:
        if log_file is not None:
            log_file.close()
        raise
    description = Description(
        key=Key(request.id),
        pid=0,
        start_time=0,
        bundle=request.bundle,
        cgroup="",
        terminal=request.terminal,
        open_stdin=request.open_stdin,
        stdin_once=request.stdin_once,
        capture=request.capture,
        log=request.log,
        runtime=tuple(request.runtime),
    )
    spawn = Spawn(request.id, request.bundle, request.rootfs, request.terminal)
    birth = _Birth(parents.context, Unborn(description, stdio.ours, log_file), born)
    parents.request(description, spawn, stdio.theirs, birth.answered)


def create_exec(parents: Parents, request: messages.Exec, container: Process, born: Born) -> None:
    """Make a process in a container.

    Raises:
        OSError: no descriptors are left.
    """
    stdio = make_stdio(terminal=request.terminal, open_stdin=request.open_stdin)
    of = container.description
    description = Description(
        key=Key(request.container_id, request.exec_id),
        pid=0,
        start_time=0,
        bundle=of.bundle,
        cgroup=of.cgroup,
        terminal=request.terminal,
        open_stdin=request.open_stdin,
        stdin_once=True,
        capture=False,
        log=None,
        runtime=of.runtime,
    )
    spawn = SpawnExec(of.pid, of.bundle, of.cgroup, request.process, request.terminal)
    try:
        # The number may be another process's by the time the launcher looks.
        theirs = (*stdio.theirs, os.dup(container.pidfd))
    except OSError:
        close_all([*stdio.ours.values(), *stdio.theirs])
        raise
    birth = _Birth(parents.context, Unborn(description, stdio.ours, None), born)
    parents.request(description, spawn, theirs, birth.answered)


class Unborn(NamedTuple):
    """A process before it has a pid: our ends of its pipes, and its log."""

    description: Description
    ours: dict[str, int]
    log: LogFile | None

    def discard(self) -> None:
        close_all([*self.ours.values()])
        if self.log is not None:
            self.log.close()


class _Birth:
    """Waits for the launcher's answer."""

    __slots__ = ("_born", "_context", "_unborn")

    def __init__(self, context: Context, unborn: Unborn, born: Born) -> None:
        self._context = context
        self._unborn = unborn
        self._born = born

    def answered(self, result: Cloned | BoxshipError, fds: list[int]) -> None:
        if isinstance(result, BoxshipError):
            self._unborn.discard()
            self._born(result)
            return
        for warning in result.warnings:
            log.warn(f"{self._unborn.description.key.container_id}: {warning}")
        try:
            process = self._process(result, fds)
        except OSError as e:
            # Its sync socket closes before it heard GO, which ends the new process.
            self._unborn.discard()
            close_all(fds)
            self._born(InternalError(f"the new process cannot be watched: {e}"))
            return
        self._born(process)

    def _process(self, result: Cloned, fds: list[int]) -> Process:
        description = self._unborn.description._replace(
            pid=result.pid,
            start_time=self._context.kernel.start_time(result.pid),
            cgroup=result.cgroup,
        )
        fds_by_name = {**self._unborn.ours, "pidfd": fds[0], "sync": fds[1]}
        return Process(self._context, description, fds_by_name, self._unborn.log)
