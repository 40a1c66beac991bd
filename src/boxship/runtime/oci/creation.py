"""`create` of the OCI runtime: a container up to the point where its program would start."""

import os
import time

from boxship.errors import ConflictError, InternalError, InvalidArgumentError
from boxship.runtime import sync
from boxship.runtime.errors import StartFailedError
from boxship.runtime.oci.lifecycle import release, runner_of
from boxship.runtime.oci.rendezvous import listen, send_console
from boxship.runtime.oci.report import REPORT
from boxship.runtime.oci.state import OCI_NEWEST, Record, Store, group
from boxship.runtime.spawn import SpawnRequest, Stdio, spawn, usable_path
from boxship.runtime.spec import document, shape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.kernel.api import Kernel
    from boxship.runtime.hooks import HookRunner
    from boxship.runtime.spawn import Spawned


class CreateOptions:
    """What the command line adds to a bundle.

    Attributes:
        bundle: directory with config.json.
        config: file to read in its place; empty without.
        keep: `run` leaves a container that has ended to `delete`.
        console_socket: unix socket to send the terminal's master to; empty without.
        pid_file: file to write the pid to; empty for none.
        preserve_fds: how many descriptors from 3 on the container keeps.
        no_pivot: see SpawnRequest.
        keep_keyring: see SpawnRequest.
        listeners: see SpawnRequest.
        ungrouped: make no control group.
        debug: print the plan.
    """

    __slots__ = (
        "bundle",
        "config",
        "console_socket",
        "debug",
        "keep",
        "keep_keyring",
        "listeners",
        "no_pivot",
        "pid_file",
        "preserve_fds",
        "ungrouped",
    )

    def __init__(self, bundle: str) -> None:
        self.ungrouped = False
        self.bundle = bundle
        self.config = ""
        self.keep = False
        self.console_socket = ""
        self.pid_file = ""
        self.preserve_fds = 0
        self.no_pivot = False
        self.keep_keyring = False
        self.listeners = 0
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
    spec = read_spec(options.config or f"{bundle}/config.json")
    terminal = bool((spec.get("process") or {}).get("terminal"))
    if terminal and detached and not options.console_socket:
        msg = "a container with a terminal needs a console socket"
        raise InvalidArgumentError(msg, hint="give --console-socket, or use run")
    # Before anything is made: it asks the kernel, which may fail.
    cgroup = "" if options.ungrouped else usable_path(kernel, spec, container_id)
    directory = store.reserve(container_id)
    record = Record(id=container_id, bundle=bundle, spec=spec, cgroup=cgroup)
    record.created = time.time()  # noqa: TID251 - the command line is where the clock is taken from
    try:
        return _make(kernel, store, record, options, directory if detached else "")
    except BaseException:
        if record.pid:
            # Hooks may have run that poststop undoes.
            release(kernel, store, record)
        else:
            store.forget(container_id)
        raise


def _make(
    kernel: "Kernel", store: Store, record: Record, options: CreateOptions, gate_directory: str
) -> Created:
    occupants = group(record).processes()
    if occupants:
        raise ConflictError(f"cgroup {record.cgroup} is in use by {len(occupants)} processes")
    hooks = runner_of(kernel, record)
    terminal = bool((record.spec.get("process") or {}).get("terminal"))
    gate = listen(gate_directory) if gate_directory else -1
    request = SpawnRequest(
        id=record.id,
        bundle=record.bundle,
        spec=record.spec,
        stdio=Stdio(0, 1, 2, terminal=terminal),
        debug=options.debug,
        preserve_fds=options.preserve_fds,
        gate=gate,
        no_pivot=options.no_pivot,
        keep_keyring=options.keep_keyring,
        listeners=options.listeners,
        hooks=hooks,
        cache=store.cache,
        cgroup=record.cgroup,
    )
    try:
        spawned = spawn(kernel, request)
    finally:
        if gate >= 0:
            os.close(gate)
    for warning in spawned.warnings:
        REPORT.warn(warning)
    created = Created(record, spawned, sync.Channel(spawned.sync), hooks)
    record.pid = spawned.pid
    try:
        record.start_time = kernel.start_time(spawned.pid)
        store.save(record)
        _await_ready(created, options)
        if options.pid_file:
            write_pid_file(options.pid_file, spawned.pid)
    except BaseException:
        kernel.pidfd_send_signal(spawned.pidfd, 9)
        os.waitpid(spawned.pid, 0)
        os.close(spawned.pidfd)
        created.channel.close()
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
        if message.kind == sync.NOTIFY:
            from boxship.runtime.notify import send_listener  # noqa: PLC0415 - rare

            send_listener(created.record, "creating", created.spawned.pid, message.fds[0])
        if message.kind == sync.CONSOLE:
            if options.console_socket:
                send_console(options.console_socket, message.fds[0])
            else:
                created.master = message.fds[0]


def read_spec(path: str) -> "dict[str, Any]":
    """A container's document.

    Raises:
        NotFoundError: there is none.
        InvalidArgumentError: it is not an OCI runtime document of version 1, or a field of it has a
            value of another type than it should; named.
    """
    spec: dict[str, Any] = document.read(path)
    try:
        shape.check(spec, shape.DOCUMENT)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{path}: {error}") from error
    _check_version(path, spec["ociVersion"])
    return spec


def _check_version(path: str, version: str) -> None:
    numbers = version.partition("+")[0].partition("-")[0].split(".")
    if len(numbers) != 3 or not all(part.isascii() and part.isdecimal() for part in numbers):
        msg = f"{path}: ociVersion {version!r} is not a semantic version (1.2.0)"
        raise InvalidArgumentError(msg)
    if int(numbers[0]) != 1:
        msg = f"{path}: ociVersion {version} is not supported"
        raise InvalidArgumentError(msg, hint=f"this runtime knows 1.x, up to {OCI_NEWEST}")


def write_pid_file(path: str, pid: int) -> None:
    """Write a pid where others wait for it: whole or not at all.

    Raises:
        OSError: it cannot be written, or what is to become it is there already.
    """
    directory, slash, name = path.rpartition("/")
    # In a directory of others, a link there could lead anywhere.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    partial = f"{directory}{slash}.{name}.{os.getpid()}"
    if os.path.lexists(partial):
        # What one left that was killed and had the same number.
        os.unlink(partial)  # noqa: PTH108 - as above
    descriptor = os.open(partial, flags, 0o644)
    try:
        os.write(descriptor, str(pid).encode())
        os.rename(partial, path)  # noqa: PTH104 - pathlib is slow to import
    except OSError:
        os.unlink(partial)  # noqa: PTH108 - as above
        raise
    finally:
        os.close(descriptor)
