"""Daemon, keeper and launcher die, one at a time and together; containers and output do not."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from boxship.errors import UnavailableError
from boxship.runtime.supervisor import AttachStreams, ExecRequest

ALL = AttachStreams(stdin=True, stdout=True, stderr=True)


async def gone(pid: int) -> None:
    """Wait until a process is dead (a zombie is)."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    loop.add_reader(pidfd, lambda: ended.done() or ended.set_result(None))
    await ended
    loop.remove_reader(pidfd)
    os.close(pidfd)


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def turns(pid: int) -> int:
    """How often a process was given a processor."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[2])


def test_a_new_daemon_finds_what_runs_and_what_ended(keep, read_until):
    async def scenario(bed):
        await bed.run("c", "cat", open_stdin=True)
        pid = await bed.run("d", "sleep", "60")
        keeper = bed.supervisor.keeper_pid
        await bed.supervisor.close()
        os.kill(pid, signal.SIGTERM)
        await gone(pid)
        await bed.connect()
        assert bed.supervisor.keeper_pid == keeper
        states = {s.container_id: s for s in await bed.supervisor.statuses()}
        assert states["c"].running
        client = await bed.attach("c")
        await asyncio.get_running_loop().sock_sendall(client, b"hello\n")
        await read_until(client, b"hello\n")
        client.close()
        while states["d"].exit is None:
            states = {s.container_id: s for s in await bed.supervisor.statuses()}
        assert states["d"].exit.code == 143

    keep(scenario)


def test_the_latest_daemon_has_the_keeper(keep):
    async def scenario(bed):
        await bed.run("c", "sleep", "60")
        first = bed.supervisor
        await bed.connect()
        (status,) = await bed.supervisor.statuses()
        assert status.running
        with pytest.raises(UnavailableError):
            await first.statuses()
        await first.close()

    keep(scenario)


def test_a_keeper_that_is_killed_loses_no_output_and_no_client(keep, kill, read_until):
    async def scenario(bed):
        loop = asyncio.get_running_loop()
        await bed.shell("c", "printf begun; cat; exit 9", open_stdin=True, stdin_once=True)
        client = await bed.attach("c")
        await loop.sock_sendall(client, b" one")
        await read_until(client, b" one")
        keeper = bed.supervisor.keeper_pid
        kill(keeper)
        await gone(keeper)
        await loop.sock_sendall(client, b" two\nend")
        await read_until(client, b" two\nend")
        assert bed.supervisor.keeper_pid != keeper
        client.shutdown(1)
        assert await loop.sock_recv(client, 10) == b""
        assert (await bed.exit_of("c")).code == 9
        assert [e["log"] for e in bed.log("c")] == ["begun one two\n", "end"]

    keep(scenario)


def test_a_terminal_survives_its_keeper(keep, kill, read_until):
    async def scenario(bed):
        loop = asyncio.get_running_loop()
        await bed.run("c", "cat", terminal=True, open_stdin=True)
        client = await bed.attach("c")
        await loop.sock_sendall(client, b"one\n")
        await read_until(client, b"one\r\none\r\n")
        kill(bed.supervisor.keeper_pid)
        await loop.sock_sendall(client, b"two\n")
        await read_until(client, b"two\r\ntwo\r\n")
        await bed.supervisor.resize("c", None, 10, 20)
        client.close()

    keep(scenario)


def test_a_created_container_starts_under_the_next_keeper(keep, kill):
    async def scenario(bed):
        await bed.create("c", "sh", "-c", "echo here; exit 6")
        kill(bed.supervisor.keeper_pid)
        await bed.supervisor.statuses()
        await bed.supervisor.start("c")
        assert (await bed.exit_of("c")).code == 6
        assert bed.logged("c") == "here\n"

    keep(scenario)


def test_an_exit_between_two_keepers_keeps_its_code(keep, kill, read_until):
    async def scenario(bed):
        script = "trap 'echo bye; exit 21' TERM; echo on; while :; do sleep 0.02; done"
        pid = await bed.create("c", "sh", "-c", script)
        client = await bed.attach("c")
        await bed.supervisor.start("c")
        await read_until(client, b"on\n")
        client.close()
        kill(bed.supervisor.keeper_pid)
        os.kill(pid, signal.SIGTERM)
        await gone(pid)
        assert (await bed.exit_of("c")).code == 21
        assert bed.logged("c").endswith("bye\n")
        assert len(bed.exits) == 1

    keep(scenario)


def test_exec_sessions_survive_their_keeper(keep, kill, read_until):
    async def scenario(bed):
        loop = asyncio.get_running_loop()
        await bed.run("c", "sleep", "60")
        request = ExecRequest("c", "e", {"args": ["cat"]}, terminal=False, open_stdin=True)
        _, client = await bed.supervisor.exec(request, ALL)
        kill(bed.supervisor.keeper_pid)
        await loop.sock_sendall(client, b"still")
        await read_until(client, b"still")
        client.shutdown(1)
        assert (await bed.exit_of("c", "e")).code == 0
        client.close()

    keep(scenario)


def test_containers_go_on_when_daemon_and_keeper_die_together(keep, kill, read_until):
    async def scenario(bed):
        script = "trap 'echo again' USR1; echo on; while :; do sleep 0.02; done"
        await bed.create("c", "sh", "-c", script)
        client = await bed.attach("c")
        await bed.supervisor.start("c")
        await read_until(client, b"on\n")
        client.close()
        keeper = bed.supervisor.keeper_pid
        kill(keeper)
        await bed.supervisor.close()
        await gone(keeper)
        await bed.connect()
        client = await bed.attach("c")
        await bed.supervisor.signal("c", signal.SIGUSR1)
        await read_until(client, b"again\n")
        client.close()
        await bed.supervisor.signal("c", signal.SIGKILL)
        assert (await bed.exit_of("c")).code == 137
        assert bed.logged("c") == "on\nagain\n"

    keep(scenario)


def test_an_exit_on_record_survives_everybody(keep, kill):
    async def scenario(bed):
        await bed.shell("c", "exit 11")
        ended = await bed.exit_of("c")
        keeper = bed.supervisor.keeper_pid
        await bed.supervisor.close()
        kill(keeper)
        await gone(keeper)
        await bed.connect()
        (status,) = await bed.supervisor.statuses()
        assert status.exit == ended

    keep(scenario)


def test_a_launcher_killed_in_the_act_fails_that_create_and_leaves_nothing(keep, kill):
    async def scenario(bed):
        told = bed.root / "pid"
        os.mkfifo(told)
        request = bed.request("c", "true")
        bed.bundle("c", "true", hang=str(told))
        creating = asyncio.create_task(bed.supervisor.create(request))
        child = int(await asyncio.to_thread(told.read_text))
        kill(bed.supervisor.launcher_pid)
        with pytest.raises(UnavailableError, match="launcher ended"):
            await creating
        await gone(child)
        await bed.run("c", "true")
        assert (await bed.exit_of("c")).code == 0
        assert not exists(child)

    keep(scenario)


def test_a_keeper_killed_in_the_act_fails_that_create_and_leaves_nothing(keep, kill):
    async def scenario(bed):
        told = bed.root / "pid"
        os.mkfifo(told)
        request = bed.request("c", "true")
        bed.bundle("c", "true", hang=str(told))
        creating = asyncio.create_task(bed.supervisor.create(request))
        child = int(await asyncio.to_thread(told.read_text))
        launcher = bed.supervisor.launcher_pid
        kill(bed.supervisor.keeper_pid)
        with pytest.raises(UnavailableError, match="keeper ended"):
            await creating
        assert await bed.supervisor.statuses() == []
        # The fake hangs by design and does not see its keeper's end.
        kill(launcher)
        await gone(child)
        await bed.run("c", "true")

    keep(scenario)


def test_an_idle_keeper_uses_no_time(keep):
    async def scenario(bed):
        await bed.run("c", "sleep", "60")
        await bed.supervisor.statuses()
        await asyncio.sleep(0.05)
        before = turns(bed.supervisor.keeper_pid)
        await asyncio.sleep(0.15)
        assert turns(bed.supervisor.keeper_pid) == before

    keep(scenario)
