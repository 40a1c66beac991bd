"""The commands of the OCI runtime on one container: create, start, kill, delete.

`run` and `exec` are in boxship.runtime.foreground.
"""

import _socket
import errno
import os
import time

from boxship.errors import ConflictError, InternalError, InvalidArgumentError, NotFoundError
from boxship.kernel import KernelError
from boxship.runtime import document, sync
from boxship.runtime.errors import StartFailedError
from boxship.runtime.spawn import SpawnRequest, Stdio, cgroup_path, spawn
from boxship.runtime.state import Record, Store, group, oci_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.kernel.api import Kernel
    from boxship.runtime.hooks import HookRunner
    from boxship.runtime.spawn import Spawned

_KILL_WAIT_SECONDS = 10.0


class CreateOptions:
    """What the command line adds to a bundle.

    Attributes:
        bundle: directory with config.json.
        console_socket: unix socket to send the terminal's master to; empty without.
        pid_file: file to write the pid to; empty for none.
        preserve_fds: how many descriptors from 3 on the container keeps.
        no_pivot: see SpawnRequest.
        debug: print the plan.
    """

    __slots__ = ("bundle", "console_socket", "debug", "no_pivot", "pid_file", "preserve_fds")

    def __init__(self, bundle: str) -> None:
        self.bundle = bundle
        self.console_socket = ""
        self.pid_file = ""
        self.preserve_fds = 0
        self.no_pivot = False
        self.debug = False


class Created:
    """A container whose process waits for GO.

    Attributes:
        record: as saved.
        spawned: its process.
        channel: the parent's end of the sync socket.
        master: the terminal's other end when it was sent nowhere, else -1.
        hooks: runner of its hooks, None without any.
    """

    __slots__ = ("channel", "hooks", "master", "record", "spawned")

    def __init__(
        self, record: Record, spawned: "Spawned", channel: sync.Channel, hooks: "HookRunner | None"
    ) -> None:
        self.record = record
        self.spawned = spawned
        self.channel = channel
        self.hooks = hooks
        self.master = -1


def create(
    kernel: "Kernel", store: Store, container_id: str, options: CreateOptions, *, detached: bool
) -> Created:
    """Make a container up to the point where its program would start.

    Args:
        kernel: the door to the kernel.
        store: where to remember it.
        container_id: new id.
        options: from the command line.
        detached: this process is going to end before the container starts.

    Raises:
        ConflictError: the id is in use.
        StartFailedError: the container's process could not be made ready.
        BoxshipError: as for spawn.
    """
    bundle = os.path.realpath(options.bundle)
    spec = read_spec(bundle)
    terminal = bool((spec.get("process") or {}).get("terminal"))
    if terminal and detached and not options.console_socket:
        msg = "a container with a terminal needs a console socket"
        raise InvalidArgumentError(msg, hint="give --console-socket, or use run")
    directory = store.reserve(container_id)
    record = Record(
        id=container_id, bundle=bundle, spec=spec, cgroup=cgroup_path(spec, container_id)
    )
    record.created = time.time()  # noqa: TID251 - the command line is where the clock is taken from
    try:
        return _make(kernel, store, record, options, directory if detached else "")
    except BaseException:
        if record.pid:
            _destroy(record)
        store.forget(container_id)
        raise


def _make(
    kernel: "Kernel", store: Store, record: Record, options: CreateOptions, gate_directory: str
) -> Created:
    occupants = group(record).processes()
    if occupants:
        raise ConflictError(f"cgroup {record.cgroup} is in use by {len(occupants)} processes")
    hooks = _hooks(kernel, record)
    terminal = bool((record.spec.get("process") or {}).get("terminal"))
    gate = _listen(gate_directory) if gate_directory else -1
    request = SpawnRequest(
        id=record.id,
        bundle=record.bundle,
        spec=record.spec,
        stdio=Stdio(0, 1, 2, terminal=terminal),
        debug=options.debug,
        preserve_fds=options.preserve_fds,
        gate=gate,
        no_pivot=options.no_pivot,
        hooks=hooks,
        cache=store.cache,
    )
    spawned = spawn(kernel, request)
    if gate >= 0:
        os.close(gate)
    created = Created(record, spawned, sync.Channel(spawned.sync), hooks)
    record.pid, record.start_time = spawned.pid, kernel.start_time(spawned.pid)
    store.save(record)
    try:
        _await_ready(created, options)
        if options.pid_file:
            write_pid_file(options.pid_file, spawned.pid)
    except BaseException:
        kernel.pidfd_send_signal(spawned.pidfd, 9)
        os.waitpid(spawned.pid, 0)
        raise
    return created


def _await_ready(created: Created, options: CreateOptions) -> None:
    while True:
        message = created.channel.receive()
        if message is None:
            raise InternalError("the container's process ended before it was ready")
        if message.kind == sync.READY:
            return
        if message.kind == sync.ERROR:
            raise StartFailedError(message.reason, message.text)
        if message.kind == sync.HOOKS and created.hooks is not None:
            for name in ("prestart", "createRuntime"):
                created.hooks.run(name, created.spawned.pid)
            created.channel.send(sync.GO)
        if message.kind == sync.CONSOLE:
            if options.console_socket:
                send_console(options.console_socket, message.fds[0])
            else:
                created.master = message.fds[0]


def start(kernel: "Kernel", store: Store, container_id: str) -> None:
    """Let a created container's program run.

    Raises:
        ConflictError: it is not in the state `created`.
        StartFailedError: the program could not be executed.
    """
    record = store.load(container_id)
    status = store.status(record)
    if status != "created":
        raise ConflictError(f"cannot start container {container_id}: it is {status}")
    path = f"{store.directory(container_id)}/start.sock"
    caller = _connect(path, _socket.SOCK_SEQPACKET)
    os.unlink(path)  # noqa: PTH108 - pathlib is slow to import
    channel = sync.Channel(caller.detach())
    channel.send(sync.GO)
    expect_program(channel)
    hooks = _hooks(kernel, record)
    if hooks is not None:
        hooks.run("poststart", record.pid, "running")


def expect_program(channel: sync.Channel) -> None:
    """Wait until the program runs.

    Raises:
        StartFailedError: it does not.
    """
    answer = channel.receive()
    channel.close()
    if answer is not None:
        raise StartFailedError(answer.reason, answer.text)


def kill(kernel: "Kernel", store: Store, container_id: str, signal: int, *, everyone: bool) -> None:
    """Signal a container's first process, or all its processes.

    Raises:
        ConflictError: it does not run.
    """
    record = store.load(container_id)
    if everyone and store.status(record) == "stopped":
        for pid in group(record).processes():
            _signal_process(kernel, pid, signal)
        return
    if store.status(record) in ("stopped", "creating"):
        raise ConflictError("container not running")
    if everyone:
        for pid in group(record).processes():
            _signal_process(kernel, pid, signal)
        return
    _signal_process(kernel, record.pid, signal)


def delete(kernel: "Kernel", store: Store, container_id: str, *, force: bool) -> None:
    """Release everything a container holds.

    Args:
        kernel: the door to the kernel.
        store: where it is remembered.
        container_id: the container.
        force: kill it first; and a missing container is no error.

    Raises:
        ConflictError: it still runs.
        NotFoundError: there is no such container.
    """
    try:
        record = store.load(container_id)
    except NotFoundError:
        store.forget(container_id)
        if force:
            return
        raise
    status = store.status(record)
    if status not in ("stopped", "created") and not force:
        msg = f"cannot delete container {container_id} that is not stopped: {status}"
        raise ConflictError(msg, hint="kill it first, or use --force")
    if status != "stopped" and record.pid:
        _kill_and_wait(kernel, record)
    release(kernel, store, record)


def release(kernel: "Kernel", store: Store, record: Record) -> None:
    """Forget a container that has ended."""
    _destroy(record)
    hooks = _hooks(kernel, record)
    store.forget(record.id)
    if hooks is not None:
        hooks.run("poststop", record.pid, "stopped")


def read_spec(bundle: str) -> "dict[str, Any]":
    """The document of a bundle.

    Raises:
        NotFoundError: the bundle has none.
        InvalidArgumentError: it is not an OCI runtime document.
    """
    spec = document.read(f"{bundle}/config.json")
    if not isinstance(spec, dict) or not str(spec.get("ociVersion") or "").startswith("1."):
        msg = f"{bundle}/config.json is not an OCI runtime document of version 1"
        raise InvalidArgumentError(msg)
    return spec


def write_pid_file(path: str, pid: int) -> None:
    """Write a pid where others wait for it: whole or not at all."""
    directory, _, name = path.rpartition("/")
    partial = f"{directory or '.'}/.{name}"
    with open(partial, "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib is slow to import
        file.write(str(pid))
    os.rename(partial, path)  # noqa: PTH104 - as above


def send_console(path: str, master: int) -> None:
    """Send a terminal's master over a unix stream socket, as runc's clients expect, and close it.

    Raises:
        InvalidArgumentError: nobody listens there.
    """
    connection = _connect(path, _socket.SOCK_STREAM)
    rights = master.to_bytes(4, "little")
    connection.sendmsg((b"/dev/ptmx",), ((_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights),))
    connection.close()
    os.close(master)


def _hooks(kernel: "Kernel", record: Record) -> "HookRunner | None":
    listed = record.spec.get("hooks")
    if not listed or not any(listed.values()):
        return None
    from boxship.runtime.hooks import HookRunner  # noqa: PLC0415 - most have none

    state = oci_state(record, "creating")
    return HookRunner(kernel, listed, state)


def _listen(directory: str) -> int:
    """A listening socket in a directory, whose path may be longer than a socket's name can be."""
    handle = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC, 0)
    holder = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        handle.bind(f"/proc/self/fd/{holder}/start.sock")
        handle.listen(8)
    finally:
        os.close(holder)
    return handle.detach()


def _connect(path: str, kind: int) -> "_socket.socket":
    handle = _socket.socket(_socket.AF_UNIX, kind | _socket.SOCK_CLOEXEC, 0)
    directory, _, name = os.path.abspath(path).rpartition("/")  # noqa: PTH100 - as above
    try:
        holder = os.open(directory or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            handle.connect(f"/proc/self/fd/{holder}/{name}")
        finally:
            os.close(holder)
    except OSError as error:
        handle.close()
        raise InvalidArgumentError(f"cannot connect to {path}: {error.strerror}") from error
    return handle


def _signal_process(kernel: "Kernel", pid: int, signal: int) -> None:
    try:
        pidfd = kernel.pidfd_open(pid)
        try:
            kernel.pidfd_send_signal(pidfd, signal)
        finally:
            kernel.close(pidfd)
    except KernelError as error:
        if error.errno != errno.ESRCH:
            raise


def _kill_and_wait(kernel: "Kernel", record: Record) -> None:
    from select import POLLIN, poll  # noqa: PLC0415 - only where something still runs

    try:
        pidfd = kernel.pidfd_open(record.pid)
    except KernelError:
        return
    try:
        group(record).kill()
        kernel.pidfd_send_signal(pidfd, 9)
        poller = poll()
        poller.register(pidfd, POLLIN)
        if not poller.poll(_KILL_WAIT_SECONDS * 1000):
            raise ConflictError(f"container {record.id} does not end after SIGKILL")
    finally:
        kernel.close(pidfd)


def _destroy(record: Record) -> None:
    cgroup = group(record)
    if cgroup.exists():
        cgroup.kill()
        cgroup.remove()
