"""The launcher: clones containers for the keeper, serially, and keeps no state.

Started by the keeper as `python -I -S` with one socket; imports only `kernel` and `runtime`. It
forks with CLONE_PARENT, so what it makes is the keeper's child. It ends when the keeper does, and
may be killed and replaced at any time.
"""

import _signal  # type: ignore[import-not-found]  # the signal module is slow to import
import _socket
import gc
import json
import os
import sys

from boxship.errors import BoxshipError, InvalidArgumentError, UnsupportedError
from boxship.kernel import abi
from boxship.kernel.linux import LinuxKernel
from boxship.runtime import channel
from boxship.runtime.inherited import give_back
from boxship.runtime.spawn import (
    ExecRequest,
    RootMount,
    SpawnRequest,
    Stdio,
    cgroup_path,
    host,
    spawn,
    spawn_exec,
)

TYPE_CHECKING = False  # the typing module would be half of the start time
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from boxship.kernel.api import Kernel
    from boxship.runtime.spawn import Spawned

SOCKET = 3
"""The descriptor the keeper's socket is passed as."""


def serve(kernel: "Kernel", sock: "_socket.socket", cache: str) -> None:
    """Carry out requests until the keeper closes its end.

    `cache` is a directory for compiled seccomp programs.
    """
    while True:
        received = channel.receive(sock)
        if received is None:
            return
        body, fds = received
        try:
            spawned, cgroup = _carry_out(kernel, json.loads(body), fds, cache)
        except (BoxshipError, OSError) as e:
            channel.send(sock, _reply("Failed", _words(e)))
        else:
            _answer(sock, spawned, cgroup)
        finally:
            channel.close_all(fds)


def refuse(sock: "_socket.socket", protocol: str) -> None:
    """Answer a keeper of another version, whose files were replaced by an upgrade."""
    message = f"the launcher speaks protocol {channel.PROTOCOL}, not {protocol} as its keeper"
    hint = "restart the daemon, which replaces the keeper; containers run on meanwhile"
    while (received := channel.receive(sock)) is not None:
        channel.close_all(received[1])
        channel.send(sock, _reply("Failed", _words(UnsupportedError(message, hint=hint))))


def _carry_out(
    kernel: "Kernel", message: "list[Any]", fds: "list[int]", cache: str
) -> "tuple[Spawned, str]":
    _, name, *fields = message
    if name == "Spawn":
        request = _spawn_request(fields, fds)
        request.cache = cache
        return spawn(kernel, request), cgroup_path(request.spec, request.id)
    if name == "SpawnExec":
        exec_request = _exec_request(fields, fds)
        return spawn_exec(kernel, exec_request), exec_request.cgroup
    raise InvalidArgumentError(f"unknown request to the launcher: {name}")


def _spawn_request(fields: "list[Any]", fds: "list[int]") -> SpawnRequest:
    # The fields of keeper.messages.Spawn, which is not imported because it needs typing.
    container_id, bundle, rootfs, terminal = fields
    spec = _read_spec(bundle)
    if spec.get("hooks"):
        raise UnsupportedError(
            f"{bundle}: hooks are not run for the engine's containers",
            hint="boxship-runtime runs them",
        )
    return SpawnRequest(
        id=container_id,
        bundle=bundle,
        spec=spec,
        rootfs=tuple(RootMount(kind, source, tuple(options)) for kind, source, options in rootfs),
        stdio=_stdio(fds, terminal=terminal),
        sibling=True,
    )


def _exec_request(fields: "list[Any]", fds: "list[int]") -> ExecRequest:
    # The fields of keeper.messages.SpawnExec.
    pid, bundle, cgroup, process, terminal = fields
    return ExecRequest(
        pid=pid,
        spec=_read_spec(bundle),
        process=process,
        cgroup=cgroup,
        stdio=_stdio(fds, terminal=terminal),
        sibling=True,
        target=fds[-1],
    )


def _stdio(fds: "list[int]", *, terminal: bool) -> Stdio:
    if terminal:
        return Stdio(-1, -1, -1, terminal=True)
    return Stdio(fds[0], fds[1], fds[2])


def _read_spec(bundle: str) -> "dict[str, Any]":
    path = f"{bundle}/config.json"
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - no pathlib here
            spec: dict[str, Any] = json.load(file)
    except (OSError, ValueError) as e:
        raise InvalidArgumentError(f"{path} cannot be read: {e}") from e
    return spec


def _answer(sock: "_socket.socket", spawned: "Spawned", cgroup: str) -> None:
    fds = [spawned.pidfd, spawned.sync]
    try:
        channel.send(sock, _reply("Cloned", [spawned.pid, cgroup, list(spawned.warnings)]), fds)
    finally:
        channel.close_all(fds)


def _reply(name: str, fields: "list[Any]") -> bytes:
    return json.dumps([0, name, *fields], ensure_ascii=False).encode(errors="surrogateescape")


def _words(error: Exception) -> "list[Any]":
    # The fields of keeper.messages.Failed.
    if isinstance(error, BoxshipError):
        return [error.kind, error.message, error.hint, getattr(error, "reason", "")]
    return ["internal", f"the process cannot be made: {error}", "", ""]


def main() -> "NoReturn":
    """Serve the keeper on the descriptor it left open, then end."""
    # A keeper of protocol 1 names none.
    nofile, oom_score, cache, protocol = (*sys.argv[1:5], "1")[:4]
    kernel = LinuxKernel()
    kernel.set_name("boxship-launch")
    # Nobody may look into the process that is about to stand in a container's namespaces.
    kernel.prctl(abi.PR_SET_DUMPABLE, 0)
    # However it ends: whom a stopped or hanging launcher makes for a dead keeper, nobody watches.
    kernel.prctl(abi.PR_SET_PDEATHSIG, _signal.SIGKILL)
    give_back(kernel, nofile, oom_score)
    os.set_inheritable(SOCKET, False)
    sock = _socket.socket(fileno=SOCKET)
    # What is learned now is not learned while somebody waits for a container.
    host(kernel)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        if protocol == str(channel.PROTOCOL):
            serve(kernel, sock, cache)
        else:
            refuse(sock, protocol)
    except (KeyboardInterrupt, ConnectionError):
        # The keeper is gone; so is the reason to be here.
        os._exit(1)
    os._exit(0)
