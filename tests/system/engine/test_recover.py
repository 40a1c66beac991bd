"""The daemon goes away, politely or not, and comes back."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from boxship.engine.values import AttachRequest, ExecConfig, ExecStart, ListQuery, LogQuery
from boxship.errors import NotFoundError
from boxship.model.container import MountRequest, PortBinding, RestartPolicy
from boxship.paths import Paths
from boxship.runtime.supervisor import Supervisor

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns]

Run = Callable[[Any], None]
DAEMON = Path(__file__).with_name("daemon.py")


def test_running_containers_are_adopted(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        script = "echo up; while read line; do echo got $line; done; echo end; sleep 1000"
        before = await rig.start(
            "sh",
            "-c",
            script,
            name="keep",
            network_mode="bridge",
            config={"open_stdin": True},
            port_bindings=(PortBinding(80, host_port=18090),),
        )
        await rig.until_output("keep", "up")
        await rig.restart()
        after = rig.engine.containers.inspect("keep")
        assert after.state == before.state
        assert after.endpoints == before.endpoints
        assert after.ports == before.ports
        session = await rig.engine.containers.attach("keep", AttachRequest(stdin=True, stdout=True))
        await session.write(b"hello\n")
        assert b"got hello\n" in await session.read()
        session.close()
        exec_id = await rig.engine.execs.create("keep", ExecConfig(("id",), attach_stdout=True))
        output = await rig.drain(await rig.engine.execs.start(exec_id, ExecStart()))
        assert b"uid=0(root)" in output
        assert (await rig.output("keep")).startswith("up\ngot hello\n")
        other = await rig.start("sleep", "1000", network_mode="bridge")
        assert other.user_base != after.user_base
        assert other.endpoints["bridge"].ipv4_address != after.endpoints["bridge"].ipv4_address
        await rig.engine.containers.stop("keep", grace=0)
        assert rig.engine.containers.inspect("keep").state.exit_code == 137

    scenario(work)


def test_exits_meanwhile_are_collected(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        script = "read x; exit 6"
        config = {"open_stdin": True, "stdin_once": True}
        plain = await rig.start("sh", "-c", script, name="plain", config=config)
        gone = await rig.start("sh", "-c", script, name="gone", config=config, auto_remove=True)
        again = await rig.start(
            "sh", "-c", script, name="again", config=config, restart=RestartPolicy("always")
        )
        await rig.close()
        for one in (plain, gone, again):
            pidfd = os.pidfd_open(one.state.pid)
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
        await rig.open()
        containers = rig.engine.containers
        await containers.wait("plain")
        state = containers.inspect("plain").state
        assert (state.status, state.exit_code, state.pid) == ("exited", 137, 0)
        with suppress(NotFoundError):
            await containers.wait("gone", "removed")
        events = rig.engine.events.subscribe(since=1, filters={"event": ("start",)})
        await anext(events)
        assert containers.inspect("again").state.status == "running"
        assert containers.inspect("again").restart_count == 1

    scenario(work)


def test_policies_when_the_host_was_rebooted(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        policies = ("no", "always", "unless-stopped")
        for name in policies:
            await rig.start("sleep", "1000", name=name, restart=RestartPolicy(name))
        await rig.start("sleep", "1000", name="stopped", restart=RestartPolicy("unless-stopped"))
        await rig.engine.containers.stop("stopped", grace=0)
        # What a reboot does: no process is left, and the keeper knows nothing.
        ids = [rig.engine.containers.inspect(name).id for name in policies]
        await rig.close()
        stranger = await Supervisor.connect(rig.paths.exec_root, on_exit=lambda _: None)
        for container_id in ids:
            await stranger.delete(container_id)
        await stranger.close()
        await rig.open()
        events = rig.engine.events.subscribe(since=1, filters={"event": ("start",)})
        started = {(await anext(events)).attributes["name"] for _ in range(2)}
        assert started == {"always", "unless-stopped"}
        state = rig.engine.containers.inspect("no").state
        assert (state.status, state.exit_code) == ("exited", 255)
        assert rig.engine.containers.inspect("stopped").state.status == "exited"

    scenario(work)


def run_daemon(paths: Paths, kill_at: int) -> str:
    """Live through a container's life in a process that kills itself at the n-th step."""
    done = subprocess.run(
        [sys.executable, str(DAEMON), str(paths.data_root), str(paths.exec_root), str(kill_at)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if done.returncode == -signal.SIGKILL:
        return "killed"
    assert done.returncode == 0, done.stderr
    return "finished"


async def check_after(step: int, rig: Any) -> None:
    containers = rig.engine.containers
    for one in await containers.list(ListQuery(all=True)):
        container = one.container
        status = container.state.status
        assert status in ("created", "running", "exited"), (step, status)
        if status == "running":
            assert "ready" in await rig.until_output(container.id, "ready")
        else:
            assert not any(e.endpoint_id for e in container.endpoints.values()), step
            await containers.start(container.id)
        await containers.remove(container.id, force=True, volumes=True)
    assert rig.engine.volumes.list({}) == ()
    assert list(rig.snapshots.active()) == []
    assert list(rig.paths.exec_root.glob("bundles/*")) == []
    assert list(rig.paths.data_root.glob("containers/*")) == []
    assert await rig.supervisor.statuses() == []


@pytest.mark.slow
def test_kill_9_at_every_step_leaves_nothing(scenario: Run, paths: Paths) -> None:
    step = 1
    while run_daemon(paths, step) == "killed":
        scenario(partial(check_after, step))
        step += 1
    assert step > 10


def test_follow_ends_when_a_container_ended_unseen(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        await rig.start("sh", "-c", "echo up; read x", name="one", config={"open_stdin": True})
        await rig.until_output("one", "up")
        await rig.restart()

        async def follow() -> str:
            entries = rig.engine.containers.logs("one", LogQuery(follow=True))
            return b"".join([entry.data async for entry in entries]).decode()

        following = asyncio.ensure_future(follow())
        await rig.engine.containers.kill("one")
        assert await following == "up\n"

    scenario(work)


def test_volumes_in_use_survive(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        mounts = (MountRequest("volume", "/data", "kept"),)
        await rig.start("sh", "-c", "echo x > /data/f; sleep 1000", mounts=mounts, name="one")
        await rig.restart()
        await rig.engine.containers.remove("one", force=True, volumes=True)
        assert [volume.name for volume in rig.engine.volumes.list({})] == ["kept"]
        await rig.engine.volumes.remove("kept")

    scenario(work)
