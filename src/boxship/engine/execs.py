"""exec: further processes in running containers."""

import asyncio
import secrets
from typing import Any

import msgspec

from boxship.engine.containers.bundle import read_process
from boxship.engine.containers.kill import not_running
from boxship.engine.containers.sessions import LiveSession
from boxship.engine.containers.store import Entry
from boxship.engine.context import Context
from boxship.engine.facade import Session
from boxship.engine.values import Exec, ExecConfig, ExecStart
from boxship.errors import ConflictError, InvalidArgumentError, NotFoundError
from boxship.runtime.errors import StartFailedError
from boxship.runtime.keeper.messages import Exit
from boxship.runtime.spec.generate import granted_capabilities
from boxship.runtime.supervisor import AttachStreams, ExecRequest

_NOT_STARTED = 126
_KEEP_ENDED = 512
"""Ended execs that can still be inspected; Docker forgets them after a few minutes."""


class ExecService:
    """Execs of all containers; only in memory, as with Docker."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._execs: dict[str, Exec] = {}
        self._started: set[str] = set()
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}

    async def create(self, ref: str, config: ExecConfig) -> str:
        """Register an exec and give its id; see `facade.Execs`."""
        entry = self._context.store.find(ref)
        _require_running(entry)
        if not config.argv:
            raise InvalidArgumentError("No exec command specified")
        exec_id = secrets.token_hex(32)
        self._execs[exec_id] = Exec(exec_id, entry.id, config)
        entry.execs.add(exec_id)
        self._forget_oldest()
        self._context.tell(entry, f"exec_create: {' '.join(config.argv)}", execID=exec_id)
        return exec_id

    async def start(self, exec_id: str, request: ExecStart) -> Session | None:
        """Run an exec; see `facade.Execs`."""
        one = self.inspect(exec_id)
        entry = self._context.store.find(one.container_id)
        if exec_id in self._started:
            raise ConflictError(f"Error: Exec command {exec_id} has already run")
        _require_running(entry)
        self._started.add(exec_id)
        config = one.config
        self._context.tell(entry, f"exec_start: {' '.join(config.argv)}", execID=exec_id)
        streams = AttachStreams(config.attach_stdin, config.attach_stdout, config.attach_stderr)
        self._execs[exec_id] = msgspec.structs.replace(one, running=True)
        try:
            pid, connection = await self._context.supervisor.exec(
                ExecRequest(
                    container_id=entry.id,
                    exec_id=exec_id,
                    process=self._process(entry, config),
                    terminal=config.tty,
                    open_stdin=config.attach_stdin and not request.detach,
                ),
                attach=None if request.detach else streams,
            )
        except BaseException as failure:
            code = failure.exit_code if isinstance(failure, StartFailedError) else _NOT_STARTED
            self._end(entry, exec_id, code)
            if isinstance(failure, StartFailedError):
                raise _in_dockers_words(failure) from failure
            raise
        now = self._execs[exec_id]
        if now.exit_code is None:
            self._execs[exec_id] = msgspec.structs.replace(now, pid=pid)
        if request.rows and config.tty:
            await self.resize(exec_id, request.rows, request.columns)
        return None if connection is None else LiveSession(connection, tty=config.tty)

    def inspect(self, exec_id: str) -> Exec:
        """See `facade.Execs`."""
        one = self._execs.get(exec_id)
        if one is None:
            raise NotFoundError(f"No such exec instance: {exec_id}")
        return one

    async def wait(self, exec_id: str) -> Exec:
        """See `facade.Execs`."""
        if self.inspect(exec_id).exit_code is None:
            ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(exec_id, []).append(ended)
            await ended
        return self.inspect(exec_id)

    def of_container(self, container_id: str) -> tuple[str, ...]:
        """See `facade.Execs`."""
        entry = self._context.store.get(container_id)
        return () if entry is None else tuple(sorted(entry.execs))

    async def resize(self, exec_id: str, rows: int, columns: int) -> None:
        """See `facade.Execs`."""
        one = self.inspect(exec_id)
        if not one.running:
            raise ConflictError(f"exec {exec_id} is not running")
        await self._context.supervisor.resize(one.container_id, exec_id, rows, columns)
        entry = self._context.store.get(one.container_id)
        if entry is not None:
            self._context.tell(
                entry, "exec_resize", execID=exec_id, height=str(rows), width=str(columns)
            )

    def ended(self, result: Exit) -> None:
        """Record the end of an exec, as the keeper told it."""
        exec_id = result.exec_id or ""
        entry = self._context.store.get(result.container_id)
        if entry is None or exec_id not in self._execs:
            return
        self._end(entry, exec_id, result.code)
        self._context.tell(entry, "exec_die", execID=exec_id, exitCode=str(result.code))

    def _end(self, entry: Entry, exec_id: str, code: int) -> None:
        entry.execs.discard(exec_id)
        one = self._execs[exec_id]
        # Ended ones move to the end, so that the oldest are forgotten first.
        del self._execs[exec_id]
        self._execs[exec_id] = msgspec.structs.replace(one, running=False, pid=0, exit_code=code)
        for waiter in self._waiting.pop(exec_id, ()):
            if not waiter.done():
                waiter.set_result(None)

    def _forget_oldest(self) -> None:
        surplus = len(self._execs) - _KEEP_ENDED
        if surplus <= 0:
            return
        ended = [key for key, one in self._execs.items() if self._is_over(one)]
        for key in ended[:surplus]:
            del self._execs[key]
            self._started.discard(key)

    def _is_over(self, one: Exec) -> bool:
        entry = self._context.store.get(one.container_id)
        return one.exit_code is not None or entry is None or not entry.container.state.pid

    def _process(self, entry: Entry, config: ExecConfig) -> dict[str, Any]:
        """The OCI process: the container's own with the exec's differences."""
        if entry.process is None:
            entry.process = read_process(self._context, entry.id)
        process = dict(entry.process)
        process["args"] = list(config.argv)
        process["env"] = _merged_env(process.get("env", []), config)
        process["terminal"] = config.tty
        process.pop("consoleSize", None)
        if config.working_dir:
            process["cwd"] = config.working_dir
        if config.user:
            process["user"] = {"uid": 0, "gid": 0, "username": config.user}
        if config.privileged:
            process["capabilities"] = {
                kind: list(granted_capabilities((), (), privileged=True))
                for kind in ("bounding", "effective", "permitted")
            }
            process.pop("noNewPrivileges", None)
        return process


def _require_running(entry: Entry) -> None:
    """Refuse a container that can run no further process now.

    Raises:
        ConflictError: Docker's texts.
    """
    status = entry.container.state.status
    if status == "paused":
        raise ConflictError(f"Container {entry.id} is paused, unpause the container before exec")
    if status == "restarting":
        raise ConflictError(
            f"Container {entry.id} is restarting, wait until the container is running"
        )
    if status != "running":
        raise not_running(entry)


def _merged_env(inherited: list[str], config: ExecConfig) -> list[str]:
    values = dict(item.partition("=")[::2] for item in inherited)
    if config.tty:
        values.setdefault("TERM", "xterm")
    else:
        values.pop("TERM", None)
    for item in config.env:
        name, equals, value = item.partition("=")
        if equals:
            values[name] = value
        else:
            values.pop(name, None)
    return [f"{name}={value}" for name, value in values.items()]


def _in_dockers_words(failure: StartFailedError) -> InvalidArgumentError:
    return InvalidArgumentError(
        "OCI runtime exec failed: exec failed: unable to start container process: "
        f"{failure.message}: unknown",
        hint=failure.hint,
    )
