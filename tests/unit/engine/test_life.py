"""A container's life when things go wrong, over stand-ins for processes and networks."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from boxship.engine.values import AttachRequest, ExecConfig, ExecStart, ListQuery
from boxship.errors import (
    BoxshipError,
    ConflictError,
    ExhaustedError,
    InvalidArgumentError,
    NotFoundError,
)
from boxship.model.container import MountRequest, PortBinding, RestartPolicy
from boxship.model.platform import parse_platform
from boxship.runtime.errors import StartFailedError

Run = Callable[[Any], None]
PORT = (PortBinding(80, host_port=8080),)


def assert_nothing_held(bench: Any, container_id: str) -> None:
    container = bench.engine.containers.inspect(container_id)
    assert bench.supervisor.known == {}
    assert bench.networks.members == set()
    assert bench.networks.published == {}
    assert not bench.paths.bundle(container_id).exists()
    assert (container.state.pid, container.user_base, container.ports) == (0, 0, ())
    assert not any(endpoint.endpoint_id for endpoint in container.endpoints.values())


@pytest.mark.parametrize("place", ["reserve", "join", "publish"])
def test_a_network_that_fails_undoes_the_start(scenario: Run, place: str) -> None:
    async def work(bench: Any) -> None:
        container = await bench.create(port_bindings=PORT)
        bench.networks.failures[place] = ExhaustedError("no address is left")
        with pytest.raises(ExhaustedError):
            await bench.engine.containers.start(container.id)
        assert_nothing_held(bench, container.id)
        state = bench.engine.containers.inspect(container.id).state
        assert (state.status, state.exit_code) == ("created", 128)
        assert state.error == "no address is left"
        await bench.engine.containers.start(container.id)
        assert bench.engine.containers.inspect(container.id).state.running

    scenario(work)


@pytest.mark.parametrize("place", ["create", "attach", "start"])
def test_a_process_that_fails_undoes_the_start(scenario: Run, place: str) -> None:
    async def work(bench: Any) -> None:
        container = await bench.create(port_bindings=PORT)
        session = await bench.engine.containers.attach(container.id, AttachRequest(stdout=True))
        bench.supervisor.failures[place] = StartFailedError("not_found", 'exec: "run": not found')
        with pytest.raises(InvalidArgumentError, match='exec: "run": not found'):
            await bench.engine.containers.start(container.id)
        for peer in bench.supervisor.peers:
            peer.close()
        assert await session.read() == b""
        session.close()
        assert_nothing_held(bench, container.id)
        assert bench.engine.containers.inspect(container.id).state.exit_code == 127

    scenario(work)


def test_a_create_that_fails_leaves_nothing(scenario: Run) -> None:
    async def work(bench: Any) -> None:
        mounts = (MountRequest("volume", "/a"), MountRequest("nope", "/b"))
        with pytest.raises(InvalidArgumentError):
            await bench.create(name="web", mounts=mounts)
        assert bench.engine.volumes.list({}) == ()
        assert list(bench.snapshots.active()) == []
        assert await bench.names() == []
        await bench.create(name="web")

    scenario(work)


def test_cleaning_up_goes_on_over_failures(scenario: Run) -> None:
    async def work(bench: Any) -> None:
        container = await bench.start(port_bindings=PORT)
        bench.networks.failures["unpublish"] = ExhaustedError("nft is gone")
        bench.supervisor.end(container.id, 0)
        await bench.engine.containers.wait(container.id)
        assert bench.engine.containers.inspect(container.id).state.status == "exited"
        assert bench.networks.members == set()

    scenario(work)


def test_an_exit_of_an_earlier_run_does_not_count(scenario: Run) -> None:
    async def work(bench: Any) -> None:
        container = await bench.start()
        bench.supervisor.end(container.id, 3)
        await bench.engine.containers.wait(container.id)
        old = bench.supervisor._on_exit
        from boxship.runtime.keeper.messages import Exit  # noqa: PLC0415

        ended = bench.engine.containers.inspect(container.id).state.finished_at
        await bench.engine.containers.start(container.id)
        old(Exit(container.id, None, 3, False, ended))
        await asyncio.sleep(0)
        await bench.engine.containers.pause(container.id)
        assert bench.engine.containers.inspect(container.id).state.status == "paused"

    scenario(work)


def test_a_stubborn_process_is_killed_after_its_grace(scenario: Run) -> None:
    async def work(bench: Any) -> None:
        container = await bench.start(restart=RestartPolicy("always"))
        bench.supervisor.ignores.add(15)
        await bench.engine.containers.stop(container.id, grace=0)
        signals = [call for call in bench.supervisor.calls if call.startswith("signal")]
        assert signals == ["signal 15", "signal 9"]
        state = bench.engine.containers.inspect(container.id).state
        assert (state.status, state.exit_code) == ("exited", 137)

    scenario(work)


def test_other_signals_leave_the_restart_policy_alone(scenario: Run) -> None:
    async def work(bench: Any) -> None:
        container = await bench.start(restart=RestartPolicy("always"))
        await bench.engine.containers.kill(container.id, "USR1")
        await bench.engine.containers.wait(container.id, "next-exit")
        assert bench.engine.containers.inspect(container.id).state.status == "restarting"
        await bench.engine.containers.remove(container.id, force=True)

    scenario(work)


def test_a_restart_that_fails_ends_the_policy(scenario: Run) -> None:
    async def work(bench: Any) -> None:
        container = await bench.start(restart=RestartPolicy("on-failure"))
        bench.supervisor.failures["start"] = StartFailedError("not_found", "gone")
        bench.supervisor.end(container.id, 1)
        while bench.engine.containers.inspect(container.id).state.running:
            await bench.engine.containers.wait(container.id)
        state = bench.engine.containers.inspect(container.id).state
        assert (state.status, state.error) == ("exited", "gone")

    scenario(work)


def test_everybody_who_waits_hears_of_the_removal(scenario: Run) -> None:
    async def work(bench: Any) -> None:
        container = await bench.create()
        waits = [
            bench.engine.containers.wait(container.id, condition)
            for condition in ("next-exit", "removed")
        ]
        await bench.engine.containers.remove(container.id)
        assert [result.exit_code for result in await asyncio.gather(*waits)] == [0, 0]
        with pytest.raises(InvalidArgumentError, match="invalid condition"):
            bench.engine.containers.wait((await bench.create()).id, "nope")

    scenario(work)


def test_removals_at_the_same_time(scenario: Run) -> None:
    async def work(bench: Any) -> None:
        container = await bench.start(auto_remove=True)
        remove = bench.engine.containers.remove
        await asyncio.gather(*(remove(container.id, force=True) for _ in range(3)))
        with pytest.raises(NotFoundError):
            bench.engine.containers.inspect(container.id)

    scenario(work)


def test_an_image_for_another_platform(scenario: Run) -> None:
    async def work(bench: Any) -> None:
        from boxship.model.container import ContainerConfig, HostConfig  # noqa: PLC0415

        with pytest.raises(NotFoundError, match="does not match the specified platform"):
            await bench.engine.containers.create(
                None, ContainerConfig("app"), HostConfig(), parse_platform("linux/s390x")
            )
        with pytest.raises(NotFoundError, match="No such image: nope:latest"):
            await bench.engine.containers.create(None, ContainerConfig("nope"), HostConfig())

    scenario(work)


def test_what_is_in_use_is_not_removed(scenario: Run) -> None:
    async def work(bench: Any) -> None:
        container = await bench.start(name="user", mounts=(MountRequest("volume", "/d", "vol"),))
        with pytest.raises(ConflictError, match="volume is in use"):
            await bench.engine.volumes.remove("vol")
        with pytest.raises(ConflictError, match=container.id[:12]):
            await bench.engine.images.remove("app")
        await bench.engine.containers.remove("user", force=True)
        await bench.engine.volumes.remove("vol")
        await bench.engine.images.remove("app")

    scenario(work)


def test_an_exec_that_cannot_start_and_one_that_is_forgotten(scenario: Run) -> None:
    async def work(bench: Any) -> None:
        container = await bench.start()
        execs = bench.engine.execs
        one = await execs.create(container.id, ExecConfig(("x",), user="me", env=("A=1",)))
        bench.supervisor.failures["exec"] = StartFailedError("permission", "permission denied")
        with pytest.raises(InvalidArgumentError, match="permission denied"):
            await execs.start(one, ExecStart(detach=True))
        assert execs.inspect(one).exit_code == 126
        two = await execs.create(container.id, ExecConfig(("x",), user="me", env=("A=1",)))
        await execs.start(two, ExecStart(detach=True))
        process = bench.supervisor.requests[-1].process
        assert process["user"]["username"] == "me"
        assert "A=1" in process["env"]
        with pytest.raises(ConflictError, match="has already run"):
            await execs.start(two, ExecStart())

    scenario(work)


def test_a_new_daemon_undoes_a_start_that_was_cut_short(scenario: Run) -> None:
    async def work(bench: Any) -> None:
        container = await bench.create(port_bindings=PORT)
        cut = asyncio.get_running_loop().create_future()
        bench.supervisor.start = lambda _: cut
        starting = asyncio.ensure_future(bench.engine.containers.start(container.id))
        await bench.networks.has_published.wait()
        await asyncio.sleep(0)
        del bench.supervisor.start
        old, new = bench.engine, bench.new_engine()
        await new.recover()
        assert_nothing_held(bench, container.id)
        assert new.containers.inspect(container.id).state.status == "created"
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await old.close()

    scenario(work)


def test_processes_and_directories_of_nobody_are_swept_up(scenario: Run) -> None:
    async def work(bench: Any) -> None:
        kept = await bench.start(name="kept")
        bench.snapshots.prepare("stray", None)
        bench.paths.bundle("stray").mkdir(parents=True)
        bench.paths.container_data("stray").mkdir(parents=True)
        bench.supervisor.known["stray"] = bench.supervisor.known[kept.id]._replace(
            container_id="stray"
        )
        await bench.engine.close()
        await bench.new_engine().recover()
        assert list(bench.supervisor.known) == [kept.id]
        assert list(bench.snapshots.active()) == [kept.id]
        assert [path.name for path in bench.paths.bundle("x").parent.iterdir()] == [kept.id]
        assert [path.name for path in bench.paths.container_data("x").parent.iterdir()] == [kept.id]
        assert bench.engine.containers.inspect("kept").state.running

    scenario(work)


def test_refs(scenario: Run) -> None:
    async def work(bench: Any) -> None:
        one = await bench.create(name="one")
        for ref in (one.id, one.id[:7], "one", "/one"):
            assert bench.engine.containers.inspect(ref).id == one.id
        for ref in ("", "nope", "/"):
            with pytest.raises(NotFoundError, match=f"No such container: {ref}"):
                bench.engine.containers.inspect(ref)
        for _ in range(20):
            await bench.create()
        ids = [one.container.id for one in await bench.engine.containers.list(ListQuery(all=True))]
        shared = next(one[0] for one in ids if sum(other[0] == one[0] for other in ids) > 1)
        with pytest.raises(InvalidArgumentError, match="multiple IDs found with provided prefix"):
            bench.engine.containers.inspect(shared)
        with pytest.raises(BoxshipError, match="Renaming a container with the same name"):
            await bench.engine.containers.rename("one", "one")
        assert len(await bench.engine.containers.list(ListQuery(all=True, limit=5))) == 5

    scenario(work)
