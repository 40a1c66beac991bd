"""Further processes in running containers, on the real kernel."""

from collections.abc import Callable
from typing import Any

import pytest

from boxship.engine.values import ExecConfig, ExecStart
from boxship.errors import ConflictError, InvalidArgumentError, NotFoundError

pytestmark = [pytest.mark.root, pytest.mark.overlayfs]

Run = Callable[[Any], None]


def payloads(frames: bytes) -> bytes:
    """What is in stdcopy frames."""
    found = b""
    while frames:
        assert frames[:4] in (b"\1\0\0\0", b"\2\0\0\0")
        size = int.from_bytes(frames[4:8])
        found += frames[8 : 8 + size]
        frames = frames[8 + size :]
    return found


async def run(rig: Any, ref: str, *argv: str, **config: Any) -> tuple[bytes, int | None]:
    execs = rig.engine.execs
    wanted = ExecConfig(argv, attach_stdout=True, attach_stderr=True, **config)
    exec_id = await execs.create(ref, wanted)
    events = rig.engine.events.subscribe(filters={"event": ("exec_die",)})
    session = await execs.start(exec_id, ExecStart(tty=wanted.tty))
    output = payloads(await rig.drain(session))
    await anext(events)
    return output, execs.inspect(exec_id).exit_code


def test_output_exit_code_and_surroundings(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        config = {"env": ("A=container", "B=2"), "working_dir": "/srv"}
        container = await rig.start("sleep", "1000", config=config)
        output, code = await run(rig, container.id, "sh", "-c", "echo out; exit 9")
        assert (output, code) == (b"out\n", 9)
        output, _ = await run(
            rig, container.id, "sh", "-c", "echo $A $B; pwd; id -u; hostname", env=("A=exec",)
        )
        assert output.split() == [b"exec", b"2", b"/srv", b"0", container.id[:12].encode()]
        output, _ = await run(
            rig, container.id, "sh", "-c", "id -un; pwd", user="www-data", working_dir="/var"
        )
        assert output.split() == [b"www-data", b"/var"]
        assert rig.engine.execs.of_container(container.id) == ()

    scenario(work)


def test_a_terminal_and_input(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        container = await rig.start("sleep", "1000")
        execs = rig.engine.execs
        config = ExecConfig(("sh",), tty=True, attach_stdin=True, attach_stdout=True)
        exec_id = await execs.create(container.id, config)
        session = await execs.start(exec_id, ExecStart(tty=True, rows=40, columns=90))
        await session.write(b"stty size; exit 3\n")
        output = await rig.drain(session)
        assert b"40 90\r\n" in output
        assert session.tty

    scenario(work)


def test_programs_that_cannot_be_executed(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        container = await rig.start("sleep", "1000")
        execs = rig.engine.execs
        for argv, code, text in (
            ("nope", 127, 'exec: "nope": executable file not found'),
            ("/etc/passwd", 126, "permission denied"),
        ):
            exec_id = await execs.create(container.id, ExecConfig((argv,), attach_stdout=True))
            with pytest.raises(InvalidArgumentError, match=text):
                await execs.start(exec_id, ExecStart())
            one = execs.inspect(exec_id)
            assert (one.running, one.exit_code) == (False, code)
            with pytest.raises(ConflictError, match="has already run"):
                await execs.start(exec_id, ExecStart())

    scenario(work)


def test_refusals(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        execs = rig.engine.execs
        container = await rig.create("sleep", "1000")
        with pytest.raises(ConflictError, match=f"Container {container.id} is not running"):
            await execs.create(container.id, ExecConfig(("true",)))
        await rig.engine.containers.start(container.id)
        with pytest.raises(InvalidArgumentError, match="No exec command specified"):
            await execs.create(container.id, ExecConfig(()))
        await rig.engine.containers.pause(container.id)
        with pytest.raises(ConflictError, match="is paused, unpause the container before exec"):
            await execs.create(container.id, ExecConfig(("true",)))
        await rig.engine.containers.unpause(container.id)
        with pytest.raises(NotFoundError, match="No such exec instance: nope"):
            execs.inspect("nope")

    scenario(work)


def test_detached_and_gone_with_its_container(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        container = await rig.start("sleep", "1000")
        execs = rig.engine.execs
        exec_id = await execs.create(container.id, ExecConfig(("sleep", "500")))
        assert await execs.start(exec_id, ExecStart(detach=True)) is None
        one = execs.inspect(exec_id)
        assert one.running
        assert one.pid > 0
        assert execs.of_container(container.id) == (exec_id,)
        events = rig.engine.events.subscribe(filters={"event": ("exec_die",)})
        await rig.engine.containers.kill(container.id)
        await anext(events)
        assert execs.inspect(exec_id).exit_code == 137

    scenario(work)
