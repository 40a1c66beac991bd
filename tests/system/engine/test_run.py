"""Containers from start to end, on the real kernel."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxship.engine.values import AttachRequest, ListQuery
from boxship.errors import (
    BoxshipError,
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    NotModifiedError,
)
from boxship.model.container import MountRequest, Resources, RestartPolicy

pytestmark = [pytest.mark.root, pytest.mark.overlayfs]

Run = Callable[[Any], None]


def test_output_and_exit_code(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        code, output = await rig.run("sh", "-c", "echo out; echo err >&2; exit 3")
        assert code == 3
        assert sorted(output.split()) == ["err", "out"]

    scenario(work)


def test_it_has_its_own_everything(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        script = "hostname; id -u; echo $HOSTNAME; pwd; cat /proc/self/uid_map; cat /etc/hostname"
        config = {"hostname": "box", "working_dir": "/srv/app", "env": ("A=1",)}
        code, output = await rig.run("sh", "-c", script + "; echo $A; ps | wc -l", config=config)
        lines = output.split("\n")
        assert code == 0
        assert lines[:4] == ["box", "0", "box", "/srv/app"]
        inside, outside, size = map(int, lines[4].split())
        assert inside == 0
        assert outside >= 0x10000000
        assert size == 65536
        assert lines[5:7] == ["box", "1"]
        assert int(lines[7]) < 10

    scenario(work)


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        (("nope",), 127, 'exec: "nope": executable file not found in $PATH'),
        (("/etc/passwd",), 126, "permission denied"),
        (("/no/such",), 127, "no such file or directory"),
    ],
)
def test_a_program_that_cannot_be_executed(
    scenario: Run, command: tuple[str, ...], code: int, text: str
) -> None:
    async def work(rig: Any) -> None:
        container = await rig.create(*command)
        with pytest.raises(InvalidArgumentError, match=text.replace("$", r"\$")):
            await rig.engine.containers.start(container.id)
        state = rig.engine.containers.inspect(container.id).state
        assert (state.status, state.exit_code, state.pid) == ("created", code, 0)
        assert text in state.error
        assert not rig.paths.bundle(container.id).exists()

    scenario(work)


def test_an_unknown_user_is_named(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        container = await rig.create("true", config={"user": "nobody-here"})
        with pytest.raises(BoxshipError, match="unable to find user nobody-here: no matching"):
            await rig.engine.containers.start(container.id)

    scenario(work)


def test_life_cycle_and_its_refusals(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        containers = rig.engine.containers
        container = await rig.start("sleep", "1000", name="life")
        assert container.state.running
        assert container.state.pid > 0
        with pytest.raises(NotModifiedError):
            await containers.start("life")
        with pytest.raises(ConflictError, match="You cannot remove a running container"):
            await containers.remove("life")
        with pytest.raises(ConflictError, match='The container name "/life" is already in use'):
            await rig.create("true", name="life")
        assert containers.inspect(container.id[:6]).id == container.id
        await containers.kill("/life", "KILL")
        assert (await containers.wait("life")).exit_code == 137
        with pytest.raises(NotModifiedError):
            await containers.stop("life")
        with pytest.raises(ConflictError, match="is not running"):
            await containers.kill("life")
        await containers.start("life")
        await containers.restart("life", grace=0)
        assert containers.inspect("life").state.running
        await containers.remove("life", force=True)
        with pytest.raises(NotFoundError, match="No such container: life"):
            containers.inspect("life")
        assert not rig.paths.container_data(container.id).exists()

    scenario(work)


def test_stop_asks_and_then_insists(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        polite = await rig.start(
            "sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"
        )
        await rig.until_output(polite.id, "up")
        await rig.engine.containers.stop(polite.id, grace=20)
        assert rig.engine.containers.inspect(polite.id).state.exit_code == 7
        stubborn = await rig.start("sleep", "1000")
        await rig.engine.containers.stop(stubborn.id, grace=0)
        assert rig.engine.containers.inspect(stubborn.id).state.exit_code == 137

    scenario(work)


def test_attach_before_start_gets_everything(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        config = {"open_stdin": True, "stdin_once": True}
        container = await rig.create("cat", config=config)
        session = await rig.engine.containers.attach(
            container.id, AttachRequest(stdin=True, stdout=True, stderr=True)
        )
        await rig.engine.containers.start(container.id)
        await session.write(b"hello\n")
        await session.close_input()
        assert await rig.drain(session) == b"\x01\0\0\0\0\0\0\x06hello\n"
        assert (await rig.engine.containers.wait(container.id)).exit_code == 0

    scenario(work)


def test_attach_with_a_terminal_and_its_size(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        config = {"tty": True, "open_stdin": True}
        container = await rig.create(
            "sh",
            "-c",
            "stty size; read x; stty size; echo $x$TERM",
            config=config,
            console_height=33,
            console_width=77,
        )
        session = await rig.engine.containers.attach(
            container.id, AttachRequest(stdin=True, stdout=True)
        )
        await rig.engine.containers.start(container.id)
        seen = b""
        while b"33 77" not in seen:
            seen += await session.read()
        await rig.engine.containers.resize(container.id, 50, 100)
        await session.write(b"ok\n")
        seen += await rig.drain(session)
        assert b"50 100\r\nokxterm\r\n" in seen

    scenario(work)


def test_attach_replays_what_was_logged(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        container = await rig.start("sh", "-c", "echo before; sleep 1000")
        await rig.until_output(container.id, "before")
        data = await rig.read_all(container.id, stream=False, logs=True, stdout=True)
        assert data == b"\x01\0\0\0\0\0\0\x07before\n"

    scenario(work)


def test_auto_remove_and_wait_for_removal(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        container = await rig.create("sh", "-c", "exit 5", auto_remove=True)
        gone = rig.engine.containers.wait(container.id, "removed")
        await rig.engine.containers.start(container.id)
        assert (await gone).exit_code == 5
        with pytest.raises(NotFoundError):
            rig.engine.containers.inspect(container.id)

    scenario(work)


def test_auto_remove_when_the_start_fails(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        container = await rig.create("nope", auto_remove=True)
        with pytest.raises(InvalidArgumentError):
            await rig.engine.containers.start(container.id)
        with pytest.raises(NotFoundError):
            rig.engine.containers.inspect(container.id)

    scenario(work)


def test_restart_on_failure_gives_up(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        container = await rig.create(
            "sh", "-c", "echo run; exit 2", restart=RestartPolicy("on-failure", 2)
        )
        await rig.engine.containers.start(container.id)
        # Every end is told to who waits, also one that a restart follows.
        while rig.engine.containers.inspect(container.id).state.running:
            result = await rig.engine.containers.wait(container.id, "not-running")
            assert result.exit_code == 2
        assert rig.engine.containers.inspect(container.id).restart_count == 2
        assert await rig.output(container.id) == "run\n" * 3

    scenario(work)


def test_stop_ends_a_restart_that_is_due(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        container = await rig.create("false", restart=RestartPolicy("always"))
        events = rig.engine.events.subscribe()
        await rig.engine.containers.start(container.id)
        async for event in events:
            if (
                event.action == "die"
                and rig.engine.containers.inspect(container.id).restart_count > 2
            ):
                break
        await rig.engine.containers.stop(container.id)
        state = rig.engine.containers.inspect(container.id).state
        assert state.status == "exited"
        await events.aclose()

    scenario(work)


def test_events_come_in_dockers_order(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        events = rig.engine.events.subscribe(filters={"type": ("container",)})
        container = await rig.create("sh", "-c", "exit 4", config={"labels": {"a": "b"}}, name="ev")
        session = await rig.engine.containers.attach(container.id, AttachRequest(stdout=True))
        ended = rig.engine.containers.wait(container.id, "next-exit")
        await rig.engine.containers.start(container.id)
        await ended
        session.close()
        await rig.engine.containers.start(container.id)
        await rig.engine.containers.wait(container.id)
        other = await rig.start("sleep", "100", name="ev2")
        await rig.engine.containers.stop(other.id, grace=0)
        await rig.engine.containers.remove(container.id)
        seen = []
        async for event in events:
            seen.append(event)
            if event.action == "destroy":
                break
        assert [event.action for event in seen] == [
            "create",
            "attach",
            "start",
            "die",
            "start",
            "die",
            "create",
            "start",
            "kill",
            "kill",
            "die",
            "stop",
            "destroy",
        ]
        die = seen[3].attributes
        assert (die["exitCode"], die["name"], die["image"], die["a"]) == ("4", "ev", "busybox", "b")
        assert seen[8].attributes["signal"] == "15"

    scenario(work)


def test_mounts(scenario: Run, tmp_path: Path) -> None:
    async def work(rig: Any) -> None:
        (tmp_path / "file").write_text("from the host\n")
        mounts = (
            MountRequest("bind", "/host", str(tmp_path)),
            MountRequest("bind", "/ro", str(tmp_path), read_only=True),
            MountRequest("bind", "/made", str(tmp_path / "made"), create_source=True),
            MountRequest("volume", "/data", "engine-test-volume"),
            MountRequest("tmpfs", "/scratch", tmpfs_options="size=1m"),
        )
        script = (
            "cat /host/file; echo mine > /host/new; touch /ro/x 2>/dev/null || echo read-only;"
            "echo kept > /data/file; stat -c %u /host/new /data/file; ls -d /made;"
            "df -k /scratch | tail -1 | awk '{print $2}'"
        )
        code, output = await rig.run("sh", "-c", script, mounts=mounts)
        assert (code, output.split("\n")[:-1]) == (
            0,
            ["from the host", "read-only", "0", "0", "/made", "1024"],
        )
        assert (tmp_path / "new").stat().st_uid == 0
        _, output = await rig.run("cat", "/data/file", mounts=mounts[3:4])
        assert output == "kept\n"
        await rig.engine.volumes.remove("engine-test-volume")

    scenario(work)


def test_image_content_fills_a_new_volume(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        config = {"volumes": ("/etc",)}
        container = await rig.create("sh", "-c", "ls /etc/passwd", config=config)
        await rig.engine.containers.start(container.id)
        await rig.engine.containers.wait(container.id)
        assert "/etc/passwd" in await rig.output(container.id)
        name = rig.engine.containers.inspect(container.id).mounts[0].name
        with pytest.raises(ConflictError, match="volume is in use"):
            await rig.engine.volumes.remove(name)
        await rig.engine.containers.remove(container.id, volumes=True)
        with pytest.raises(NotFoundError):
            rig.engine.volumes.get(name)

    scenario(work)


def test_a_missing_bind_source_is_named(scenario: Run, tmp_path: Path) -> None:
    async def work(rig: Any) -> None:
        mount = MountRequest("bind", "/x", str(tmp_path / "absent"))
        with pytest.raises(InvalidArgumentError, match="bind source path does not exist"):
            await rig.create("true", mounts=(mount,))
        assert await rig.engine.containers.list(ListQuery(all=True)) == ()

    scenario(work)


def test_memory_limit_kills(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        events = rig.engine.events.subscribe(filters={"event": ("oom", "die")})
        container = await rig.create(
            "sh",
            "-c",
            "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ${#x}",
            resources=Resources(memory=32 << 20, memory_swap=32 << 20),
        )
        await rig.engine.containers.start(container.id)
        result = await rig.engine.containers.wait(container.id)
        assert result.exit_code != 0
        assert rig.engine.containers.inspect(container.id).state.oom_killed
        assert [(await anext(events)).action, (await anext(events)).action] == ["oom", "die"]

    scenario(work)


def test_read_only_root_capabilities_and_init(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        code, output = await rig.run("touch", "/x", read_only_root=True)
        assert code == 1
        assert "Read-only file system" in output
        _, output = await rig.run("grep", "CapEff", "/proc/self/status", cap_drop=("ALL",))
        assert output.split()[1] == "0" * 16
        _, output = await rig.run("sh", "-c", "cat /proc/1/comm; echo $$", init=True)
        assert output.split()[-1] != "1"

    scenario(work)


def test_pause_top_and_rename(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        containers = rig.engine.containers
        container = await rig.start("sleep", "1000", name="before")
        titles, rows = await containers.top("before")
        assert titles[-1] == "CMD"
        assert [row[-1] for row in rows] == ["sleep 1000"]
        await containers.pause("before")
        assert containers.inspect("before").state.status == "paused"
        with pytest.raises(ConflictError, match="is already paused"):
            await containers.pause("before")
        await containers.unpause("before")
        await containers.rename("before", "after")
        assert containers.inspect("after").id == container.id
        with pytest.raises(NotFoundError):
            containers.inspect("before")
        await containers.pause("after")
        await containers.remove("after", force=True)

    scenario(work)


def test_stopping_a_paused_container(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        for signal, code in (("SIGTERM", 143), ("SIGKILL", 137)):
            script = "trap 'exit 143' TERM; echo up; while :; do sleep 0.01; done"
            config = {"stop_signal": signal}
            container = await rig.start("sh", "-c", script, config=config)
            await rig.until_output(container.id, "up")
            await rig.engine.containers.pause(container.id)
            await rig.engine.containers.stop(container.id, grace=20)
            assert rig.engine.containers.inspect(container.id).state.exit_code == code

    scenario(work)


def test_lists_by_filters(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        up = await rig.start("sleep", "1000", name="up", config={"labels": {"role": "web"}})
        down = await rig.create("true", name="down", config={"labels": {"role": "db"}})

        async def ids(**query: Any) -> list[str]:
            return [
                one.container.name for one in await rig.engine.containers.list(ListQuery(**query))
            ]

        assert await ids() == ["up"]
        assert await ids(all=True) == ["down", "up"]
        assert await ids(limit=1) == ["down"]
        assert await ids(all=True, filters={"label": ("role=web",)}) == ["up"]
        assert await ids(filters={"status": ("created",)}) == ["down"]
        assert await ids(all=True, filters={"name": ("^/?up$",)}) == ["up"]
        assert await ids(all=True, filters={"ancestor": ("busybox",)}) == ["down", "up"]
        assert await ids(all=True, filters={"since": (up.id,)}) == ["down"]
        assert await ids(all=True, filters={"id": (down.id[:12],)}) == ["down"]
        with pytest.raises(InvalidArgumentError, match="invalid filter 'nope'"):
            await ids(filters={"nope": ("x",)})
        sized = await rig.engine.containers.list(ListQuery(size=True))
        assert sized[0].size is not None
        assert sized[0].size.total > 1_000_000
        report = await rig.engine.containers.prune({})
        assert report.deleted == (down.id,)

    scenario(work)


def test_log_queries_and_following(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        container = await rig.start("sh", "-c", "echo 1; echo 2; sleep 0.3; echo 3")
        assert await rig.output(container.id, follow=True) == "1\n2\n3\n"
        assert await rig.output(container.id, tail=1) == "3\n"
        quiet = await rig.create("echo", "x", log=_none())
        await rig.engine.containers.start(quiet.id)
        with pytest.raises(BoxshipError, match="does not support reading"):
            await rig.output(quiet.id)

    scenario(work)


def _none() -> Any:
    from boxship.model.container import LogConfig  # noqa: PLC0415

    return LogConfig("none")


def test_many_at_once(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        results = await asyncio.gather(
            *(rig.run("sh", "-c", f"echo {number}; exit {number}") for number in range(12))
        )
        assert results == [(number, f"{number}\n") for number in range(12)]
        bases = {
            json.loads(entry.read_text())["linux"]["uidMappings"][0]["hostID"]
            for entry in rig.paths.exec_root.glob("bundles/*/config.json")
        }
        assert not bases

    scenario(work)
