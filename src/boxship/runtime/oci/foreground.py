"""`run` and `exec` of the OCI command line: start, stand in between, end with the exit code."""

import _signal  # type: ignore[import-not-found]  # the signal module is slow to import
import os

from boxship.errors import InternalError, InvalidArgumentError
from boxship.kernel import process
from boxship.runtime import sync
from boxship.runtime.errors import StartFailedError
from boxship.runtime.oci import creation, lifecycle
from boxship.runtime.oci.rendezvous import send_console
from boxship.runtime.oci.report import REPORT
from boxship.runtime.spawn import ExecRequest, Spawned, Stdio, spawn_exec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.kernel.api import Kernel
    from boxship.runtime.oci.creation import CreateOptions
    from boxship.runtime.oci.state import Record, Store

# Not catchable, about this process itself, or how the kernel tells of the child and the terminal.
_KEPT = frozenset(
    (
        _signal.SIGKILL,
        _signal.SIGSTOP,
        _signal.SIGCHLD,
        _signal.SIGSEGV,
        _signal.SIGBUS,
        _signal.SIGFPE,
        _signal.SIGILL,
        _signal.SIGABRT,
        _signal.SIGPIPE,
        _signal.SIGTTIN,
        _signal.SIGTTOU,
        _signal.SIGWINCH,
        _signal.SIGURG,
    )
)
_PASSED_ON = _signal.valid_signals() - _KEPT


class ExecOptions:
    """How to execute.

    Attributes:
        process: OCI process object.
        cgroup: the container's group.
        subgroup: group below it to run in; empty for the container's.
        detach: end as soon as it runs.
        console_socket: as in CreateOptions.
        pid_file: as in CreateOptions.
        preserve_fds: as in CreateOptions.
        cache: as in SpawnRequest.
    """

    __slots__ = (
        "cache",
        "cgroup",
        "console_socket",
        "detach",
        "pid_file",
        "preserve_fds",
        "process",
        "subgroup",
    )

    def __init__(self, process: "dict[str, Any]") -> None:
        self.subgroup = ""
        self.process = process
        self.cgroup = ""
        self.detach = False
        self.cache = ""
        self.console_socket = ""
        self.pid_file = ""
        self.preserve_fds = 0


def run(kernel: "Kernel", store: "Store", container_id: str, options: "CreateOptions") -> int:
    """Run a container to its end and delete it, unless it is to be kept.

    Returns:
        Its exit code, 128 + n after signal n.

    Raises:
        BoxshipError: as for create and start.
    """
    hold_signals()
    keep = False
    created = creation.create(kernel, store, container_id, options, detached=False)
    try:
        _forward_signals(kernel, created.spawned)
        created.channel.send(sync.GO)
        lifecycle.expect_program(created.channel)
        if created.hooks is not None:
            created.hooks.run("poststart", created.spawned.pid, "running")
        keep = options.keep
        return attend(created.spawned, created.master)
    except BaseException:
        kernel.pidfd_send_signal(created.spawned.pidfd, 9)
        raise
    finally:
        _reap_quietly(created.spawned.pid)
        os.close(created.spawned.pidfd)
        if not keep:
            lifecycle.release(kernel, store, created.record)


def execute(kernel: "Kernel", record: "Record", options: ExecOptions) -> int:
    """Run a process in a container.

    Returns:
        Its exit code, 128 + n after signal n; 0 when detached.

    Raises:
        StartFailedError: the program could not be executed.
        BoxshipError: as for spawn_exec.
    """
    terminal = bool(options.process.get("terminal"))
    if terminal and options.detach and not options.console_socket:
        raise InvalidArgumentError("a detached process with a terminal needs --console-socket")
    request = ExecRequest(
        pid=record.pid,
        spec=record.spec,
        process=options.process,
        cgroup=options.cgroup,
        subgroup=options.subgroup,
        stdio=Stdio(0, 1, 2, terminal=terminal),
        preserve_fds=options.preserve_fds,
        cache=options.cache,
    )
    if not options.detach:
        hold_signals()
    spawned = spawn_exec(kernel, request)
    for warning in spawned.warnings:
        REPORT.warn(warning)
    try:
        if not options.detach:
            _forward_signals(kernel, spawned)
        master = _go(spawned, options, record)
        if options.pid_file:
            creation.write_pid_file(options.pid_file, spawned.pid)
    except BaseException:
        kernel.pidfd_send_signal(spawned.pidfd, 9)
        os.waitpid(spawned.pid, 0)
        os.close(spawned.pidfd)
        raise
    code = 0 if options.detach else attend(spawned, master)
    os.close(spawned.pidfd)
    return code


def _go(spawned: Spawned, options: ExecOptions, record: "Record") -> int:
    channel = sync.Channel(spawned.sync)
    master = -1
    while True:
        message = channel.receive()
        if message is None:
            raise InternalError("the process ended before it was ready")
        if message.kind == sync.ERROR:
            raise StartFailedError(message.reason, message.text)
        if message.kind == sync.NOTIFY:
            from boxship.runtime.notify import send_listener  # noqa: PLC0415 - rare

            send_listener(record, "running", spawned.pid, message.fds[0])
        if message.kind == sync.CONSOLE:
            master = message.fds[0]
            if options.console_socket:
                send_console(options.console_socket, master)
                master = -1
        if message.kind == sync.READY:
            channel.send(sync.GO)
            _expect_program(channel, spawned)
            return master
        if message.kind == sync.BORN:
            _replace(spawned, message.fds[0])


def _expect_program(channel: sync.Channel, spawned: Spawned) -> None:
    failure = None
    while (message := channel.receive()) is not None:
        if message.kind == sync.BORN:
            _replace(spawned, message.fds[0])
        else:
            failure = StartFailedError(message.reason, message.text)
    channel.close()
    if failure is not None:
        raise failure


def _replace(spawned: Spawned, pidfd: int) -> None:
    """Stand by the process that executes the program; the one that prepared it has ended."""
    preparer, old = spawned.pid, spawned.pidfd
    spawned.pid, spawned.pidfd = process.pidfd_pid(pidfd), pidfd
    os.waitpid(preparer, 0)
    os.close(old)


def hold_signals() -> None:
    """Keep signals until there is a process to pass them on to."""
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _PASSED_ON)


def attend(spawned: Spawned, master: int) -> int:
    """Wait for a process and carry its terminal.

    Returns:
        Its exit code, 128 + n after signal n.
    """
    if master >= 0:
        from boxship.runtime.oci.terminal import carry  # noqa: PLC0415 - only with a terminal

        carry(master, spawned.pidfd)
    _, status = os.waitpid(spawned.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _forward_signals(kernel: "Kernel", spawned: Spawned) -> None:
    def forward(number: int, _: object) -> None:
        try:
            kernel.pidfd_send_signal(spawned.pidfd, number)
        except ProcessLookupError:
            return
        except OSError:
            # It has ended; the wait tells.
            return

    for number in _PASSED_ON:
        _signal.signal(number, forward)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _PASSED_ON)


def _reap_quietly(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return
