"""All the keeper knows: its containers, and the daemon to tell about them."""

from typing import TYPE_CHECKING

from boxship.errors import ConflictError, NotFoundError
from boxship.runtime.keeper.attach import Client
from boxship.runtime.keeper.container import Container
from boxship.runtime.keeper.messages import (
    ClientGone,
    Deposited,
    Exit,
    Exited,
    Key,
    Message,
    Withdrawn,
)
from boxship.runtime.keeper.process import Process
from boxship.runtime.keeper.records import Record, Records

if TYPE_CHECKING:
    from collections.abc import Callable

    from boxship.runtime.cgroups import Cgroup
    from boxship.runtime.keeper.link import Link


class Table:
    """Containers by id, exits not yet told, and the daemon's link; implements `Owner`.

    Attributes:
        creating: ids whose process is being cloned.
        ended_execs: exits of exec sessions that no daemon has heard of.
    """

    def __init__(self, records: Records, cgroup: "Callable[[str], Cgroup]") -> None:
        self.records = records
        self.cgroup = cgroup
        self.containers: dict[str, Container] = {}
        self.creating: set[str] = set()
        self.ended_execs: list[Exit] = []
        self.link: Link | None = None
        self.on_deletable: Callable[[Container], None] = lambda _container: None

    def get(self, container_id: str) -> Container:
        """Raises NotFoundError when the keeper does not know it."""
        container = self.containers.get(container_id)
        if container is None:
            raise NotFoundError(f"container {container_id} has no process")
        return container

    def find(self, key: Key) -> Process:
        """A process that lives; raises NotFoundError or ConflictError."""
        return self.get(key.container_id).find(key)

    def reserve(self, container_id: str) -> None:
        """Raises ConflictError when the id is taken."""
        if container_id in self.containers or container_id in self.creating:
            raise ConflictError(
                f"container {container_id} already has a process",
                hint="delete it before it is made again",
            )
        self.creating.add(container_id)

    def add(self, process: Process) -> Container:
        """Enter a container by its process."""
        container = Container(process.description)
        container.process = process
        self.containers[container.id] = container
        return container

    def remove(self, container: Container) -> None:
        del self.containers[container.id]
        self.records.remove(container.id)

    def processes(self) -> list[Process]:
        return [process for c in self.containers.values() for process in c.processes()]

    def report(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Tell the daemon, if there is one."""
        if self.link is not None:
            self.link.send(0, message, fds)

    # -- what processes report

    def process_started(self, process: Process) -> None:
        # After the answer, because nobody waits for it: only when daemon and keeper die together
        # is it needed, and until then the daemon has the deposit.
        if process.description.key.exec_id is None:
            self.records.write(Record(process.description, None))

    def process_exited(self, process: Process) -> None:
        key = process.description.key
        container = self.containers.get(key.container_id)
        if container is not None and key.exec_id is None and container.cgroup:
            container.oom_killed = self.cgroup(container.cgroup).oom_kills() > 0

    def process_ended(self, process: Process) -> None:
        key = process.description.key
        container = self.containers.get(key.container_id)
        self.report(Withdrawn(key, []))
        if key.exec_id is not None:
            self._exec_ended(process, key.exec_id, container)
        elif container is not None:
            self._container_ended(process, container)

    def deposit(self, process: Process, names: list[str]) -> None:
        """Give the daemon copies of these descriptors, all when none are named."""
        if self.link is None:
            return
        fds = process.descriptors()
        chosen = {name: fds[name] for name in names or fds}
        self.report(Deposited(process.description, list(chosen)), tuple(chosen.values()))

    def withdraw(self, process: Process, names: list[str]) -> None:
        self.report(Withdrawn(process.description.key, names))

    def client_gone(self, client: Client) -> None:
        self.report(ClientGone(client.number))

    def _exec_ended(self, process: Process, exec_id: str, container: Container | None) -> None:
        if container is not None:
            container.drop_exec(exec_id)
        if process.failure is not None:
            return
        ended = _exit_of(process, oom_killed=False)
        if self.link is not None:
            self.report(Exited(ended))
        else:
            self.ended_execs.append(ended)

    def _container_ended(self, process: Process, container: Container) -> None:
        container.process = None
        container.failure = process.failure
        if process.failure is None:
            container.exit = _exit_of(process, oom_killed=container.oom_killed)
            self.records.write(Record(process.description, container.exit))
            self.report(Exited(container.exit))
        if container.deleting:
            self.on_deletable(container)


def _exit_of(process: Process, *, oom_killed: bool) -> Exit:
    key = process.description.key
    return Exit(key.container_id, key.exec_id, process.code or 0, oom_killed, process.exited_at)
