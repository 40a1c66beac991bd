"""Every message between daemon and keeper, and between keeper and launcher: a closed set.

On the wire a message is a JSON list, `[sequence, name, field, ...]`, with descriptors beside it.
A request carries a sequence number above 0 and gets exactly one `Done` or `Failed` with the same
number; the keeper's own reports carry 0. Which descriptors go with a message is said in its
docstring, in order.
"""

import json
from typing import Any, NamedTuple

from boxship.errors import (
    BoxshipError,
    ConflictError,
    ExhaustedError,
    ForbiddenError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    NotModifiedError,
    UnavailableError,
    UnsupportedError,
)
from boxship.runtime.errors import StartFailedError


class LogTarget(NamedTuple):
    """Where output is logged, in Docker's json-file format.

    Attributes:
        max_size: bytes of one file before it is rotated; 0 for no bound.
        max_file: files kept, the current one included.
    """

    path: str
    max_size: int = 0
    max_file: int = 1


class Exit(NamedTuple):
    """How a process ended.

    Attributes:
        exec_id: None for the container's own process.
        code: exit code, or 128 + n for signal n.
        oom_killed: the kernel killed a process of the container for its memory limit.
        at: nanoseconds since the epoch.
    """

    container_id: str
    exec_id: str | None
    code: int
    oom_killed: bool
    at: int


class Key(NamedTuple):
    """A process the keeper knows: a container's own (exec_id None) or an exec session."""

    container_id: str
    exec_id: str | None = None


class Streams(NamedTuple):
    """Which of a process's streams an attach client wants."""

    stdin: bool
    stdout: bool
    stderr: bool


class Description(NamedTuple):
    """All a keeper must know, beside descriptors, to take a process over from a dead one.

    Attributes:
        start_time: field 22 of /proc/PID/stat, so that a re-used pid is not taken for it.
        cgroup: as `linux.cgroupsPath`; empty when the process has none of its own.
        stdin_once: the first attach client's end of input closes the process's stdin.
        capture: hold output back until the first client attaches.
        runtime: command line of the external runtime that made it; empty for ours.
    """

    key: Key
    pid: int
    start_time: int
    bundle: str
    cgroup: str
    terminal: bool
    open_stdin: bool
    stdin_once: bool
    capture: bool
    log: LogTarget | None
    runtime: tuple[str, ...] = ()


class Hello(NamedTuple):
    """The daemon introduces itself; answered after a `Deposited` for every live process."""

    protocol: int


class Create(NamedTuple):
    """Make a container's process; answered with its pid once the namespaces exist.

    Attributes:
        rootfs: mounts of the root file system as `[type, source, options]`; empty for the
            bundle's root directory as it is.
        runtime: command line of an external runtime to make it; empty for ours.
    """

    id: str
    bundle: str
    rootfs: list[Any]
    terminal: bool
    open_stdin: bool
    stdin_once: bool
    capture: bool
    log: LogTarget | None
    runtime: tuple[str, ...] = ()


class Start(NamedTuple):
    """Let a created process execute its program; answered when it does or could not."""

    id: str


class Exec(NamedTuple):
    """Run a process in a container; answered with its pid. With `streams`: [attach socket]."""

    container_id: str
    exec_id: str
    process: dict[str, Any]
    terminal: bool
    open_stdin: bool
    client: int
    streams: Streams | None


class Attach(NamedTuple):
    """Give a client the process's streams: [its socket]."""

    key: Key
    client: int
    streams: Streams


class Signal(NamedTuple):
    """Send a signal to a process."""

    key: Key
    signum: int


class Resize(NamedTuple):
    """Set the size of a process's terminal, in characters."""

    key: Key
    rows: int
    columns: int


class Pause(NamedTuple):
    """Freeze a container's control group."""

    id: str


class Resume(NamedTuple):
    """Thaw it."""

    id: str


class Update(NamedTuple):
    """Set limits of a running container (OCI `linux.resources`); answered with warnings."""

    id: str
    resources: dict[str, Any]


class Delete(NamedTuple):
    """Kill what runs, remove the control group and forget; answered when all is gone."""

    id: str


class Discard(NamedTuple):
    """Remove what a create that was cut short left behind, as its bundle tells."""

    id: str
    bundle: str
    runtime: tuple[str, ...] = ()


class Statuses(NamedTuple):
    """Answered with a list of `State`."""


class Shutdown(NamedTuple):
    """End the keeper; refused while it has containers that run."""


class Restore(NamedTuple):
    """Take over a process of a dead keeper: the descriptors of `names`."""

    description: Description
    names: list[str]


class RestoreClient(NamedTuple):
    """Take over an attach client of a dead keeper: [its socket]."""

    key: Key
    client: int
    streams: Streams


class Recover(NamedTuple):
    """All restores were sent: settle processes on record that nobody handed over."""


class Done(NamedTuple):
    """A request succeeded."""

    value: Any


class Failed(NamedTuple):
    """A request failed; `reason` is that of a `StartFailedError`, else empty."""

    kind: str
    message: str
    hint: str
    reason: str


class Exited(NamedTuple):
    """Reported once for each process that ended."""

    exit: Exit


class Deposited(NamedTuple):
    """The daemon keeps these descriptors for the next keeper: those of `names`."""

    description: Description
    names: list[str]


class Withdrawn(NamedTuple):
    """The daemon closes its copies of `names`; the whole deposit when there are none."""

    key: Key
    names: list[str]


class ClientGone(NamedTuple):
    """An attach client has ended; the daemon closes its copy of the keeper's socket."""

    client: int


class TakenOver(NamedTuple):
    """Another daemon has connected; this connection ends, and is not to be made again."""


class ExecState(NamedTuple):
    """An exec session; one that ended is told of once."""

    exec_id: str
    pid: int
    exit: Exit | None


class State(NamedTuple):
    """What the keeper knows of one container.

    Attributes:
        started: its program was executed (it may have ended since).
    """

    id: str
    pid: int
    started: bool
    paused: bool
    exit: Exit | None
    execs: list[ExecState]


class Spawn(NamedTuple):
    """Keeper to launcher: clone a container: [stdin, stdout, stderr], none with a terminal."""

    id: str
    bundle: str
    rootfs: list[Any]
    terminal: bool


class SpawnExec(NamedTuple):
    """Keeper to launcher: clone a process into the container of `pid`.

    Descriptors: as for `Spawn`, then a pidfd of `pid`.
    """

    pid: int
    bundle: str
    cgroup: str
    process: dict[str, Any]
    terminal: bool


class Cloned(NamedTuple):
    """Launcher to keeper: [pidfd, sync socket].

    Attributes:
        cgroup: path of its control group.
        warnings: what was asked for and could only be done in part.
    """

    pid: int
    cgroup: str
    warnings: list[str]


Message = (
    Hello
    | Create
    | Start
    | Exec
    | Attach
    | Signal
    | Resize
    | Pause
    | Resume
    | Update
    | Delete
    | Discard
    | Statuses
    | Shutdown
    | Restore
    | RestoreClient
    | Recover
    | Done
    | Failed
    | Exited
    | Deposited
    | Withdrawn
    | ClientGone
    | TakenOver
    | Spawn
    | SpawnExec
    | Cloned
)

_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_TYPES: dict[str, type[Any]] = {kind.__name__: kind for kind in Message.__args__}
_ERRORS: dict[str, type[BoxshipError]] = {
    kind.kind: kind
    for kind in (
        InternalError,
        InvalidArgumentError,
        NotFoundError,
        ConflictError,
        NotModifiedError,
        ForbiddenError,
        UnavailableError,
        UnsupportedError,
        ExhaustedError,
    )
}


def encode(sequence: int, message: Message) -> bytes:
    fields = [sequence, type(message).__name__, *message]
    return _ENCODER.encode(fields).encode("utf-8", "surrogateescape")


def decode(body: bytes) -> tuple[int, Message]:
    """The sequence number and the message.

    Raises:
        InvalidArgumentError: it is none of the set.
    """
    try:
        sequence, name, *fields = json.loads(body.decode("utf-8", "surrogateescape"))
        return sequence, _build(name, fields)
    except (ValueError, TypeError, KeyError, IndexError) as e:
        raise InvalidArgumentError(f"unknown message {body[:80]!r}: {e}") from e


def _build(name: str, fields: list[Any]) -> Message:
    if name in _REVIVE:
        index, revive = _REVIVE[name]
        fields[index] = revive(fields[index])
    if name in ("Attach", "RestoreClient"):
        fields[2] = Streams(*fields[2])
    if name == "Create":
        fields[8:] = map(tuple, fields[8:])
    elif name == "Discard":
        fields[2:] = map(tuple, fields[2:])
    message: Message = _TYPES[name](*fields)
    return message


def _log(fields: Any) -> LogTarget | None:
    return None if fields is None else LogTarget(*fields)


def _streams(fields: Any) -> Streams | None:
    return None if fields is None else Streams(*fields)


def key_of(fields: Any) -> Key:
    return Key(*fields)


def exit_of(fields: Any) -> Exit | None:
    return None if fields is None else Exit(*fields)


def description_of(fields: Any) -> Description:
    """A description from its JSON list; one of protocol 1 names no runtime."""
    runtime = tuple(fields[10]) if len(fields) > 10 else ()
    return Description._make([key_of(fields[0]), *fields[1:9], _log(fields[9]), runtime])


def state_of(fields: Any) -> State:
    """A container's state from its JSON list."""
    execs = [ExecState(e[0], e[1], exit_of(e[2])) for e in fields[5]]
    return State._make([*fields[:4], exit_of(fields[4]), execs])


# Which field of a message is a value of its own, and how it is made from its JSON list.
_REVIVE: dict[str, tuple[int, Any]] = {
    "Create": (7, _log),
    "Exec": (6, _streams),
    "Attach": (0, key_of),
    "RestoreClient": (0, key_of),
    "Signal": (0, key_of),
    "Resize": (0, key_of),
    "Withdrawn": (0, key_of),
    "Exited": (0, exit_of),
    "Restore": (0, description_of),
    "Deposited": (0, description_of),
}


def failure(error: Exception) -> Failed:
    """Put an exception into words for the other side."""
    if isinstance(error, StartFailedError):
        return Failed(error.kind, error.message, error.hint, error.reason)
    if isinstance(error, BoxshipError):
        return Failed(error.kind, error.message, error.hint, "")
    return Failed("internal", f"{type(error).__name__}: {error}", "", "")


def error_of(failed: Failed) -> BoxshipError:
    """The exception that the other side raised."""
    if failed.reason:
        return StartFailedError(failed.reason, failed.message)
    return _ERRORS.get(failed.kind, InternalError)(failed.message, hint=failed.hint)
