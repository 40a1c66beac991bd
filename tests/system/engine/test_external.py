"""The same containers, made by external OCI runtimes: runc, crun, and our own as a command."""

import asyncio
import os
import select
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from boxship.engine.values import AttachRequest, ExecConfig, ExecStart
from boxship.errors import InvalidArgumentError, UnavailableError, UnsupportedError
from boxship.model.container import MountRequest, Resources, RestartPolicy
from boxship.paths import Paths

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.slow]

Run = Callable[[Any], None]
OURS = str(Path(sys.executable).with_name("boxship-runtime"))
HOST_NAMESPACES = Path("/proc/self/mountinfo")


@pytest.fixture(params=["runc", "crun", OURS], ids=["runc", "crun", "boxship-runtime"])
def runtime(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return "ours" if name == OURS else name


@pytest.fixture(autouse=True)
def nothing_left(paths: Paths) -> Iterator[None]:
    mounts = HOST_NAMESPACES.read_text()
    yield
    assert mounts == HOST_NAMESPACES.read_text()
    states = [*paths.exec_root.glob("runtimes/*/[!.]*"), *paths.exec_root.glob("bundles/*")]
    assert states == []


def test_output_and_exit_code(scenario: Run, runtime: str) -> None:
    async def work(rig: Any) -> None:
        code, output = await rig.run("sh", "-c", "echo out; echo err >&2; exit 3", runtime=runtime)
        assert code == 3, output
        assert sorted(output.split()) == ["err", "out"]

    scenario(work)


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        (("nope",), 127, 'exec: "nope": executable file not found in $PATH'),
        (("/etc/passwd",), 126, "permission denied"),
        (("/no/such",), 127, "no such file or directory"),
    ],
)
def test_a_program_that_cannot_be_started(
    scenario: Run, runtime: str, command: tuple[str, ...], code: int, text: str
) -> None:
    async def work(rig: Any) -> None:
        container = await rig.create(*command, runtime=runtime)
        with pytest.raises(InvalidArgumentError, match="failed to create task") as caught:
            await rig.engine.containers.start(container.id)
        assert text in caught.value.message
        assert rig.engine.containers.inspect(container.id).state.exit_code == code

    scenario(work)


def _limit_of(container_id: str) -> int:
    """Bytes of memory that its control group allows it."""
    top = Path("/sys/fs/cgroup")
    file, *_ = [
        *top.glob(f"**/{container_id}/memory.limit_in_bytes"),
        *top.glob(f"**/{container_id}/memory.max"),
    ]
    return int(file.read_text())


def test_it_is_who_it_is_to_be(scenario: Run, runtime: str) -> None:
    async def work(rig: Any) -> None:
        script = "hostname; pwd; echo $HOME; grep -i sigign /proc/self/status; cat /proc/1/comm"
        config = {"hostname": "box", "working_dir": "/srv/app", "domainname": "corp"}
        _, output = await rig.run("sh", "-c", script, config=config, runtime=runtime)
        lines = output.splitlines()
        assert lines[:3] == ["box", "/srv/app", "/root"]
        # Neither SIGPIPE nor SIGXFSZ, which Python ignores.
        assert not int(lines[3].split()[1], 16) & (1 << 12 | 1 << 24)
        user = {"user": "www-data"}
        _, output = await rig.run("id", config=user, runtime=runtime)
        assert output.startswith("uid=33(www-data) gid=33(www-data)")
        memory = Resources(memory=64 << 20)
        container = await rig.start("sleep", "100", runtime=runtime, resources=memory)
        assert container.host.runtime == runtime
        assert _limit_of(container.id) == 64 << 20

    scenario(work)


def test_volumes_files_and_network(scenario: Run, runtime: str, tmp_path: Path) -> None:
    async def work(rig: Any) -> None:
        script = "ls -l /bind; echo new >/bind/made; cat /etc/hostname; ip -4 addr show eth0"
        mounts = (MountRequest("bind", "/bind", str(tmp_path)), MountRequest("volume", "/data"))
        (tmp_path / "there").write_text("x")
        code, output = await rig.run(
            "sh",
            "-c",
            script,
            network_mode="bridge",
            mounts=mounts,
            runtime=runtime,
            config={"hostname": "box"},
        )
        assert code == 0
        assert "there" in output
        assert "inet 10.214.0." in output
        assert (tmp_path / "made").read_text() == "new\n"

    scenario(work)


def test_a_terminal_attach_and_exec(scenario: Run, runtime: str) -> None:
    async def work(rig: Any) -> None:
        config = {"tty": True, "open_stdin": True}
        container = await rig.create("sh", config=config, runtime=runtime)
        request = AttachRequest(stdin=True, stdout=True)
        session = await rig.engine.containers.attach(container.id, request)
        await rig.engine.containers.start(container.id)
        await rig.engine.containers.resize(container.id, 33, 77)
        await session.write(b"tty && stty size\n")
        seen = b""
        while b"33 77" not in seen:
            piece = await session.read()
            assert piece, seen
            seen += piece
        exec_id = await rig.engine.execs.create(
            container.id,
            ExecConfig(("sh", "-c", "id -u; exit 5"), attach_stdout=True, user="daemon"),
        )
        output = await rig.drain(await rig.engine.execs.start(exec_id, ExecStart()))
        assert output.endswith(b"1\n")
        assert (await rig.engine.execs.wait(exec_id)).exit_code == 5
        exec_id = await rig.engine.execs.create(
            container.id, ExecConfig(("tty",), attach_stdout=True, tty=True)
        )
        output = await rig.drain(await rig.engine.execs.start(exec_id, ExecStart()))
        assert b"/dev/pts/" in output
        missing = await rig.engine.execs.create(container.id, ExecConfig(("nope",)))
        with pytest.raises(InvalidArgumentError, match="executable file not found"):
            await rig.engine.execs.start(missing, ExecStart())
        assert rig.engine.execs.inspect(missing).exit_code == 127
        await session.write(b"exit 4\n")
        session.close()
        ended = await rig.engine.containers.wait(container.id)
        assert ended.exit_code == 4

    scenario(work)


def test_stop_pause_kill_and_restart(scenario: Run, runtime: str) -> None:
    async def work(rig: Any) -> None:
        containers = rig.engine.containers
        script = "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done"
        container = await rig.start("sh", "-c", script, runtime=runtime)
        await rig.until_output(container.id, "up")
        await containers.pause(container.id)
        assert containers.inspect(container.id).state.status == "paused"
        await containers.unpause(container.id)
        await containers.stop(container.id, grace=20)
        assert containers.inspect(container.id).state.exit_code == 7
        await containers.start(container.id)
        await containers.pause(container.id)
        await containers.kill(container.id, "KILL")
        await containers.wait(container.id)
        assert containers.inspect(container.id).state.exit_code == 137

    scenario(work)


def test_a_restart_policy(scenario: Run, runtime: str) -> None:
    async def work(rig: Any) -> None:
        policy = RestartPolicy("on-failure", 2)
        container = await rig.start(
            "sh", "-c", "echo again; exit 9", runtime=runtime, restart=policy
        )
        while rig.engine.containers.inspect(container.id).state.status != "exited":
            await rig.engine.containers.wait(container.id, "not-running")
            await asyncio.sleep(0)
        assert rig.engine.containers.inspect(container.id).restart_count == 2
        assert await rig.output(container.id) == "again\n" * 3

    scenario(work)


def test_the_daemon_and_the_keeper_may_go_away(scenario: Run, runtime: str) -> None:
    async def work(rig: Any) -> None:
        script = "echo up; while read line; do echo got $line; done; exit 6"
        config = {"open_stdin": True, "stdin_once": True}
        container = await rig.start("sh", "-c", script, config=config, runtime=runtime)
        await rig.until_output(container.id, "up")
        await rig.restart()
        os.kill(rig.supervisor.keeper_pid, signal.SIGKILL)
        # Asked again until the next keeper answers.
        await rig.supervisor.statuses()
        request = AttachRequest(stdin=True, stdout=True)
        session = await rig.engine.containers.attach(container.id, request)
        await session.write(b"hello\n")
        assert b"got hello\n" in await session.read()
        exec_id = await rig.engine.execs.create(
            container.id, ExecConfig(("echo", "hi"), attach_stdout=True)
        )
        output = await rig.drain(await rig.engine.execs.start(exec_id, ExecStart()))
        assert output.endswith(b"hi\n")
        ended = rig.engine.containers.wait(container.id, "next-exit")
        await session.close_input()
        assert (await ended).exit_code == 6
        session.close()

    scenario(work)


def test_a_keeper_that_dies_while_the_runtime_works(scenario: Run, runtime: str) -> None:
    async def work(rig: Any) -> None:
        for _ in range(3):
            container = await rig.create("sleep", "100", runtime=runtime)
            start = asyncio.ensure_future(rig.engine.containers.start(container.id))
            # Nobody tells of a helper's file.
            while not (  # noqa: ASYNC110
                rig.paths.bundle(container.id) / "oci" / "config.json"
            ).exists():
                await asyncio.sleep(0)
            os.kill(rig.supervisor.keeper_pid, signal.SIGKILL)
            await asyncio.gather(start, return_exceptions=True)
            # Whatever became of it: it can be started, or runs.
            if start.exception() is not None:
                await rig.engine.containers.start(container.id)
            assert rig.engine.containers.inspect(container.id).state.running
            await rig.engine.containers.remove(container.id, force=True)

    scenario(work)


def test_a_helper_that_outlives_its_keeper(scenario: Run, runtime: str) -> None:
    """What it takes back is not what the next start has made meanwhile."""

    async def work(rig: Any) -> None:
        container = await rig.create("sleep", "100", runtime=runtime)
        first = asyncio.ensure_future(rig.engine.containers.start(container.id))
        while not (helper := _helper_of(container.id)):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        os.kill(helper, signal.SIGSTOP)
        ended = os.pidfd_open(helper)
        os.kill(rig.supervisor.keeper_pid, signal.SIGKILL)
        second = asyncio.ensure_future(_start_again(rig, first, container.id))
        await asyncio.wait((second,), timeout=0.5)
        os.kill(helper, signal.SIGCONT)
        await second
        await asyncio.to_thread(select.select, [ended], [], [])
        os.close(ended)
        assert rig.engine.containers.inspect(container.id).state.running
        exec_id = await rig.engine.execs.create(
            container.id, ExecConfig(("echo", "hi"), attach_stdout=True)
        )
        output = await rig.drain(await rig.engine.execs.start(exec_id, ExecStart()))
        assert output.endswith(b"hi\n")

    scenario(work)


async def _start_again(rig: Any, first: "asyncio.Future[None]", container_id: str) -> None:
    with pytest.raises(UnavailableError):
        await first
    await rig.engine.containers.start(container_id)


def _helper_of(container_id: str) -> int:
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (path / "cmdline").read_bytes()
            if b"runtime.external" in words and container_id.encode() in words:
                return int(path.name)
    return 0


def test_what_they_cannot_do_is_refused(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        with pytest.raises(InvalidArgumentError, match="unknown or invalid runtime name: nope"):
            await rig.create("true", runtime="nope")
        with pytest.raises(UnsupportedError, match="--init is not supported with runtime runc"):
            await rig.create("true", runtime="runc", init=True)
        await rig.start("sleep", "100", name="mapped")
        container = await rig.create("true", runtime="runc", network_mode="container:mapped")
        with pytest.raises(UnsupportedError, match="has a user namespace"):
            await rig.engine.containers.start(container.id)

    scenario(work)
