"""An engine of real parts on temporary roots, in a network namespace of its own."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from boxship.engine.engine import Engine, Parts
from boxship.engine.events import EventBus
from boxship.engine.exit_relay import ExitRelay
from boxship.engine.settings import EngineSettings
from boxship.engine.values import AttachRequest, LogQuery
from boxship.image import ImageService
from boxship.kernel import abi, netlink
from boxship.kernel.namespaces import setns, unshare
from boxship.model.container import Container, ContainerConfig, HostConfig
from boxship.network.service import NetworkService
from boxship.network.settings import NetworkSettings
from boxship.paths import Paths
from boxship.runtime.supervisor import Supervisor
from boxship.storage.content.store import ContentStore
from boxship.storage.records.database import Database
from boxship.storage.snapshots.store import SnapshotStore
from boxship.volume import VolumeService

IMAGE = "busybox"
# The daemons that tests start and kill put containers below the same group.
CGROUP = os.environ.setdefault("ENGINE_TEST_CGROUP", f"/boxship-engine-test-{os.getpid()}")


def _own_network() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@pytest.fixture(scope="module")
def host() -> Iterator[None]:
    """Move this thread into a fresh network namespace with loopback up."""
    before = _own_network()
    unshare(abi.CLONE_NEWNET)
    with netlink.RouteSocket() as route:
        route.transact([netlink.change_link(1)])
    yield
    setns(before, abi.CLONE_NEWNET)
    os.close(before)


class NoBuilder:
    """These tests build nothing."""

    async def build(self, request: Any, output: Any) -> Any:
        raise AssertionError((request, output))

    async def prune(self, unused_since: int | None = None) -> int:
        return unused_since or 0

    def cache_size(self) -> int:
        return 0


class Rig:
    """One engine and the parts it stands on; `engine` is replaced by `restart`."""

    def __init__(self, paths: Paths, clock: Callable[[], int] = time.time_ns) -> None:
        self.paths = paths
        self._clock = clock
        self.engine: Engine
        self.supervisor: Supervisor
        self._parts: Parts

    async def open(self) -> None:
        database = Database(self.paths.database)
        content = ContentStore(self.paths.content)
        snapshots = SnapshotStore(self.paths.snapshots)
        self.snapshots = snapshots
        events = EventBus(self._clock)
        exits = ExitRelay()
        settings = NetworkSettings(
            bridge="bxeng0", table="boxship_engine_test", bip="10.214.0.1/24", ip_forward=False
        )
        networks = NetworkService(database, settings)
        await networks.start()
        self.supervisor = await Supervisor.connect(self.paths.exec_root, on_exit=exits)
        self._parts = Parts(
            paths=self.paths,
            database=database,
            snapshots=snapshots,
            images=ImageService(
                content,
                snapshots,
                database,
                on_event=lambda action, actor, attributes: events.emit(
                    "image", action, actor, dict(attributes)
                ),
            ),
            networks=networks,
            volumes=VolumeService(database, self.paths.volumes),
            builder=NoBuilder(),
            supervisor=self.supervisor,
            exits=exits,
            events=events,
            clock=self._clock,
        )
        ours = str(Path(sys.executable).with_name("boxship-runtime"))
        self.engine = Engine(
            self._parts,
            EngineSettings(cgroup_parent=CGROUP, stop_grace=1, runtimes={"ours": (ours,)}),
        )
        await self.engine.recover()
        if not self._parts.images.list():
            await self._parts.images.bootstrap(IMAGE)

    async def close(self) -> None:
        """Go away as a daemon does; containers run on."""
        await self.engine.close()
        await self._parts.networks.stop()
        await self._parts.images.close()
        self._parts.volumes.close()
        self._parts.snapshots.close()
        await self.supervisor.close()
        self._parts.database.close()

    async def restart(self) -> None:
        await self.close()
        await self.open()

    async def finish(self) -> None:
        """Remove every container and end the keeper."""
        for entry in await self.engine.containers.list(_everything()):
            await self.engine.containers.remove(entry.container.id, force=True)
        pid = self.supervisor.keeper_pid
        pidfd = os.pidfd_open(pid)
        await self.supervisor.shutdown()
        await self.close()
        await _ended(pidfd)

    async def create(
        self, *command: str, name: str | None = None, config: Any = None, **host: Any
    ) -> Container:
        fields = {"image": IMAGE, "command": command or None, **(config or {})}
        made = await self.engine.containers.create(
            name, ContainerConfig(**fields), HostConfig(**{"network_mode": "none", **host})
        )
        return made.container

    async def start(self, *command: str, **options: Any) -> Container:
        container = await self.create(*command, **options)
        await self.engine.containers.start(container.id)
        return self.engine.containers.inspect(container.id)

    async def run(self, *command: str, **options: Any) -> tuple[int, str]:
        """Exit code and output of a container that is removed afterwards."""
        container = await self.create(*command, **options)
        ended = self.engine.containers.wait(container.id, "next-exit")
        await self.engine.containers.start(container.id)
        code = (await ended).exit_code
        output = await self.output(container.id)
        await self.engine.containers.remove(container.id)
        return code, output

    async def output(self, ref: str, **query: Any) -> str:
        entries = [e.data async for e in self.engine.containers.logs(ref, LogQuery(**query))]
        return b"".join(entries).decode()

    async def until_output(self, ref: str, text: str) -> str:
        """Wait until the container has written something."""
        seen = ""
        async for entry in self.engine.containers.logs(ref, LogQuery(follow=True)):
            seen += entry.data.decode()
            if text in seen:
                return seen
        raise AssertionError(f"{text!r} never came: {seen!r}")

    async def read_all(self, ref: str, **request: Any) -> bytes:
        session = await self.engine.containers.attach(ref, AttachRequest(**request))
        return await self.drain(session)

    @staticmethod
    async def drain(session: Any) -> bytes:
        """Everything until the end of a session, which is closed."""
        pieces = []
        while piece := await session.read():
            pieces.append(piece)
        session.close()
        return b"".join(pieces)


def _everything() -> Any:
    from boxship.engine.values import ListQuery  # noqa: PLC0415

    return ListQuery(all=True)


async def _ended(pidfd: int) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.add_reader(pidfd, lambda: done.done() or done.set_result(None))
    try:
        async with asyncio.timeout(10):
            await done
    except TimeoutError:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


@pytest.fixture(scope="module")
def paths(host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paths]:
    root = tmp_path_factory.mktemp("engine")
    yield Paths(root / "data", root / "exec")
    for parent in Path("/sys/fs/cgroup").glob(f"*{CGROUP}"):
        parent.rmdir()


Scenario = Callable[[Rig], Awaitable[None]]


@pytest.fixture
def scenario(paths: Paths) -> Callable[[Scenario], None]:
    """Run a coroutine with an engine that is torn down after it, whatever happens."""

    @asynccontextmanager
    async def rig() -> AsyncIterator[Rig]:
        one = Rig(paths)
        await one.open()
        try:
            yield one
        finally:
            await one.finish()

    def run(work: Scenario) -> None:
        async def within() -> None:
            async with asyncio.timeout(30), rig() as one:
                await work(one)

        asyncio.run(within())

    return run
