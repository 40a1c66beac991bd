"""A container as the keeper knows it: its process, its exec sessions, its control group."""

from typing import TYPE_CHECKING

from boxship.errors import ConflictError, NotFoundError
from boxship.runtime.keeper.messages import Description, ExecState, Exit, Key, State

if TYPE_CHECKING:
    from boxship.runtime.keeper.link import Reply
    from boxship.runtime.keeper.process import Process


class Container:
    """Its process lives, or its exit is kept until the container is deleted.

    Attributes:
        process: None once it ended, and for one that is known from its record only.
        exit: how the process ended; None while it lives and when it never was started.
        deleting: who waits for it to be gone.
    """

    __slots__ = (
        "bundle",
        "cgroup",
        "deleting",
        "execs",
        "exit",
        "failure",
        "id",
        "oom_killed",
        "paused",
        "pid",
        "process",
        "runtime",
    )

    def __init__(self, description: Description) -> None:
        self.id = description.key.container_id
        self.bundle = description.bundle
        self.cgroup = description.cgroup
        self.pid = description.pid
        self.runtime = description.runtime
        self.process: Process | None = None
        self.execs: dict[str, Process] | None = None
        self.exit: Exit | None = None
        self.failure: Exception | None = None
        self.paused = False
        self.oom_killed = False
        self.deleting: tuple[Reply, ...] = ()

    def live(self) -> "Process":
        """Its process.

        Raises:
            ConflictError: it has ended.
        """
        if self.process is None or self.process.ending:
            raise ConflictError(f"container {self.id} is not running")
        return self.process

    def find(self, key: Key) -> "Process":
        """A process of it that lives.

        Raises:
            NotFoundError: there is no such exec session, or it has ended.
            ConflictError: the container is not running.
        """
        if key.exec_id is None:
            return self.live()
        process = (self.execs or {}).get(key.exec_id)
        if process is None:
            raise NotFoundError(f"no exec session {key.exec_id} runs in container {self.id}")
        return process

    def add_exec(self, exec_id: str, process: "Process") -> None:
        if self.execs is None:
            self.execs = {}
        self.execs[exec_id] = process

    def drop_exec(self, exec_id: str) -> None:
        if self.execs is not None:
            self.execs.pop(exec_id, None)
            if not self.execs:
                self.execs = None

    def processes(self) -> "list[Process]":
        own = [self.process] if self.process is not None else []
        return own + list((self.execs or {}).values())

    def state(self, ended_execs: list[Exit]) -> State:
        started = self.exit is not None or (self.process is not None and self.process.started)
        execs = [
            ExecState(exec_id, process.description.pid, None)
            for exec_id, process in (self.execs or {}).items()
        ]
        execs += [ExecState(e.exec_id or "", 0, e) for e in ended_execs]
        return State(self.id, self.pid, started, self.paused, self.exit, execs)
