"""RUN by the daemon's own executor: real containers, with nothing left of them."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from boxship.builder.request import BuildRequest, CommandFailedError
from boxship.builder.worker.runner import ContainerRunner, RunnerSettings
from boxship.errors import BoxshipError
from boxship.kernel import abi, netlink
from boxship.kernel.namespaces import setns, unshare
from boxship.network.service import NetworkService
from boxship.network.settings import NetworkSettings
from boxship.paths import Paths
from boxship.runtime.keeper.messages import Exit
from boxship.runtime.supervisor import Supervisor

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns]


@pytest.fixture(scope="module", autouse=True)
def host() -> Iterator[None]:
    """Move this thread into a fresh network namespace with loopback up."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    unshare(abi.CLONE_NEWNET)
    with netlink.RouteSocket() as route:
        route.transact([netlink.change_link(1)])
    yield
    setns(before, abi.CLONE_NEWNET)
    os.close(before)


_GROUP = f"/boxship-build-test-{os.getpid()}"


class Rig:
    """A workshop whose commands run in containers."""

    def __init__(self, workshop: Any, root: Path) -> None:
        self.workshop = workshop
        self.paths = Paths(root / "data", root / "run")
        self.supervisor: Supervisor
        self.networks: NetworkService

    async def open(self) -> None:
        settings = NetworkSettings(
            bridge="bxbld0", table="boxship_build_test", bip="10.215.0.1/24", ip_forward=False
        )
        self.networks = NetworkService(self.workshop.database, settings)
        await self.networks.start()

        def ended(report: Exit) -> None:
            runner.exited(report)

        self.supervisor = await Supervisor.connect(self.paths.exec_root, on_exit=ended)
        runner = ContainerRunner(
            self.supervisor,
            self.networks,
            self.paths,
            RunnerSettings(cgroup_parent=_GROUP),
        )
        self.workshop.executor = runner
        self.workshop.service = self.workshop.open()

    async def build(self, text: str, **fields: Any) -> Any:
        self.workshop.events = []
        request = BuildRequest(
            context=self.workshop.context, dockerfile_text=f"FROM busybox\n{text}", **fields
        )
        return await self.workshop.service.build(request, self.workshop.events.append)

    async def left(self) -> list[str]:
        bundles = self.paths.exec_root / "bundles"
        network = self.networks.get("bridge").id
        return [
            *(status.container_id for status in await self.supervisor.statuses()),
            *(path.name for path in (bundles.iterdir() if bundles.exists() else ())),
            *self.networks.containers(network),
            *self.workshop.leftovers(),
        ]

    async def close(self) -> None:
        pidfd = os.pidfd_open(self.supervisor.keeper_pid)
        await self.supervisor.shutdown()
        await self.networks.stop()
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(pidfd, ended.set)
        await asyncio.wait_for(ended.wait(), 10)
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)


Work = Callable[[Rig], Awaitable[None]]


@pytest.fixture
def within(workshop, tmp_path: Path) -> Iterator[Callable[[Work], None]]:
    """Runs a test's coroutine with an open rig, and checks that nothing is left."""

    async def run(work: Work) -> None:
        rig = Rig(workshop, tmp_path / "rig")
        await rig.open()
        try:
            await work(rig)
            assert await rig.left() == []
        finally:
            await rig.close()

    yield lambda work: asyncio.run(run(work))
    for group in Path("/sys/fs/cgroup").glob(f"*{_GROUP}"):
        group.rmdir()


def test_a_container_of_its_own(within, workshop):
    async def work(rig: Rig) -> None:
        image = await rig.build(
            "ENV A=b\nRUN echo $A $HOME $(id -u) $(hostname); cat /proc/self/uid_map; "
            "grep $(hostname) /etc/hosts; touch /made; chown 7:8 /made\nRUN stat -c %u:%g /made"
        )
        assert "b /root 0 " in workshop.told
        assert " 1342177280 " in workshop.told
        assert "10.215.0.2" in workshop.told
        assert "7:8\n" in workshop.told
        assert workshop.layers(image)[1:] == [["made"]]

    within(work)


def test_networks(within, workshop):
    async def work(rig: Rig) -> None:
        await rig.build(
            "RUN ip -o a | grep -c eth0; ping -c1 -w2 10.215.0.1 >/dev/null && echo reached\n"
            "RUN --network=none ip -o link | grep -c .\nRUN --network=host ip -o link",
            extra_hosts=("db:10.9.9.9",),
        )
        assert "1\nreached\n" in workshop.told
        assert "bxbld0" in workshop.told
        await rig.build("RUN grep db /etc/hosts", extra_hosts=("db:10.9.9.9",))
        assert "10.9.9.9\tdb" in workshop.told

    within(work)


def test_mounts_in_a_user_namespace(within, workshop):
    workshop.write("f", "from context")

    async def work(rig: Rig) -> None:
        image = await rig.build(
            "RUN --mount=target=/c --mount=type=cache,target=/k --mount=type=secret,id=s "
            "cat /c/f /run/secrets/s && echo x > /k/log && stat -c %u /c/f /k/log\n"
            "RUN <<E\n#!/bin/sh\necho script as $(id -u)\nE\nUSER 33\nRUN id -u",
            secrets={"s": b" and secret\n"},
        )
        assert "from context and secret\n0\n0\n" in workshop.told
        assert "script as 0\n" in workshop.told
        assert "33\n" in workshop.told
        assert workshop.layers(image)[1:] == []

    within(work)


def test_deletions_and_replaced_directories_reach_the_layer(within, workshop):
    async def work(rig: Rig) -> None:
        await rig.build(
            "RUN mkdir -p /d/sub && echo 1 > /d/old && echo 2 > /d/sub/x\n"
            "RUN rm /d/old && rm -r /d/sub && mkdir /d/sub && echo 3 > /d/sub/y\n"
            "RUN find /d | sort",
            tags=("made",),
        )
        assert "/d\n/d/sub\n/d/sub/y\n" in workshop.told
        names = workshop.layers(workshop.images.resolve("made"))[-1]
        assert "d/.wh.old" in names

    within(work)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RUN exit 9", "The command '/bin/sh -c exit 9' returned a non-zero code: 9"),
        ("RUN sh -c 'kill -9 $$'; exit $?", "returned a non-zero code: 137"),
        ('RUN ["/nope"]', '"/nope"'),
        ("USER zed\nRUN true", "unable to find user zed: no matching entries in passwd file"),
    ],
)
def test_failures(within, text: str, message: str):
    async def work(rig: Rig) -> None:
        with pytest.raises(BoxshipError) as caught:
            await rig.build(text)
        assert message in caught.value.message
        if "returned" in message:
            assert isinstance(caught.value, CommandFailedError)

    within(work)


def test_cancelling_kills_the_container(within, workshop):
    async def work(rig: Rig) -> None:
        started = asyncio.Event()

        def output(event: Any) -> None:
            if event.text == "started\n":
                started.set()

        request = BuildRequest(
            context=None, dockerfile_text="FROM busybox\nRUN echo started; sleep 1000"
        )
        task = asyncio.ensure_future(workshop.service.build(request, output))
        await asyncio.wait_for(started.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    within(work)
