import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from boxship.errors import ConflictError, UnavailableError
from boxship.runtime.cgroups import detect, open_cgroup
from boxship.runtime.errors import StartFailedError

pytestmark = [pytest.mark.root, pytest.mark.overlayfs]


def processes_in(cgroup: str) -> list[int]:
    return open_cgroup(detect(), cgroup).processes()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def network_of(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/net").readlink())


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def executable_opens_for_writing(pid: int) -> bool:
    try:
        os.close(os.open(f"/proc/{pid}/exe", os.O_WRONLY))
    except OSError:
        return False
    return True


def test_a_container_runs_under_the_keeper(yard, read_all):
    async def scenario(it):
        pid = await it.create(
            "c", "sh", "-c", "echo $$; id -u; cat; exit 3", open_stdin=True, stdin_once=True
        )
        assert parent_of(pid) == it.supervisor.keeper_pid
        assert network_of(pid) != network_of(os.getpid())
        client = await it.attach("c")
        await it.supervisor.start("c")
        await asyncio.get_running_loop().sock_sendall(client, b"in\n")
        client.shutdown(socket.SHUT_WR)
        assert b"in\n" in await read_all(client)
        assert (await it.exit_of("c")).code == 3
        assert it.logged("c") == "1\n0\nin\n"

    yard(scenario)


def test_the_control_group_goes_with_the_container(yard):
    async def scenario(it):
        pid = await it.run("c", "sleep", "60")
        group = it.group("c")
        assert processes_in(group) == [pid]
        await it.supervisor.delete("c")
        assert not open_cgroup(detect(), group).exists()

    yard(scenario)


@pytest.mark.parametrize(
    ("program", "code", "words"),
    [
        ("nope", 127, 'exec: "nope": executable file not found in $PATH'),
        ("/nope", 127, "no such file or directory"),
        ("/etc/passwd", 126, "permission denied"),
    ],
)
def test_a_program_that_cannot_be_started(yard, program, code, words):
    async def scenario(it):
        await it.create("c", program)
        with pytest.raises(StartFailedError) as caught:
            await it.supervisor.start("c")
        assert caught.value.exit_code == code
        assert words in caught.value.message
        await it.supervisor.delete("c")
        assert it.exits == []

    yard(scenario)


def test_a_terminal(yard, read_until):
    async def scenario(it):
        await it.create("c", "sh", terminal=True, open_stdin=True)
        client = await it.attach("c")
        await it.supervisor.start("c")
        await it.supervisor.resize("c", None, 44, 99)
        await asyncio.get_running_loop().sock_sendall(client, b"tty; stty size\n")
        await read_until(client, b"44 99\r\n")
        await asyncio.get_running_loop().sock_sendall(client, b"exit 5\n")
        assert (await it.exit_of("c")).code == 5
        assert "/dev/pts/0" in it.logged("c")

    yard(scenario)


def test_exec(yard, read_all, read_until):
    async def scenario(it):
        pid = await it.run("c", "sleep", "60")
        client = await it.exec("c", "e", "sh", "-c", "cat; cat /proc/1/comm; exit 4")
        await asyncio.get_running_loop().sock_sendall(client, b"in\n")
        client.shutdown(socket.SHUT_WR)
        output = await read_all(client)
        assert b"in\n" in output
        assert b"sleep\n" in output
        assert (await it.exit_of("c", "e")).code == 4
        terminal = await it.exec("c", "t", "sh", terminal=True)
        await asyncio.get_running_loop().sock_sendall(terminal, b"tty\n")
        await read_until(terminal, b"/dev/pts/")
        await it.supervisor.resize("c", "t", 10, 20)
        await it.supervisor.signal_exec("c", "t", signal.SIGKILL)
        assert (await it.exit_of("c", "t")).code == 137
        with pytest.raises(StartFailedError) as caught:
            await it.exec("c", "n", "nope")
        assert caught.value.exit_code == 127
        await it.supervisor.delete("c")
        assert not exists(pid)

    yard(scenario)


def test_the_end_of_the_container_ends_its_sessions(yard, read_all):
    async def scenario(it):
        await it.run("c", "sleep", "60")
        client = await it.exec("c", "e", "sleep", "60")
        await it.supervisor.signal("c", signal.SIGKILL)
        await read_all(client)
        assert (await it.exit_of("c", "e")).code == 137
        assert (await it.exit_of("c")).code == 137

    yard(scenario)


def test_out_of_memory_is_told(yard):
    async def scenario(it):
        limits = {"memory": {"limit": 16 << 20, "swap": 16 << 20}}
        await it.shell("c", "x=x; while :; do x=$x$x; done", resources=limits)
        ended = await it.exit_of("c")
        assert (ended.code, ended.oom_killed) == (137, True)

    yard(scenario)


def test_pause_resume_and_kill_while_paused(yard):
    async def scenario(it):
        await it.run("c", "sleep", "60")
        await it.supervisor.pause("c")
        (status,) = await it.supervisor.statuses()
        assert status.paused
        with pytest.raises(ConflictError, match="already paused"):
            await it.supervisor.pause("c")
        with pytest.raises(ConflictError, match="paused"):
            await it.exec("c", "e", "true")
        await it.supervisor.resume("c")
        await it.supervisor.pause("c")
        await it.supervisor.signal("c", signal.SIGKILL)
        assert (await it.exit_of("c")).code == 137

    yard(scenario)


def test_deleting_a_paused_container(yard):
    async def scenario(it):
        await it.run("c", "sleep", "60")
        await it.supervisor.pause("c")
        await it.supervisor.delete("c")
        assert await it.supervisor.statuses() == []

    yard(scenario)


def test_limits_change_while_it_runs(yard):
    async def scenario(it):
        await it.run("c", "sleep", "60")
        await it.supervisor.update("c", {"pids": {"limit": 17}})
        assert open_cgroup(detect(), it.group("c")).stats().pids_limit == 17

    yard(scenario)


def test_in_the_host_s_pid_namespace_nothing_is_left_behind(yard):
    async def scenario(it):
        host = {"pid": "host", "user": "host"}
        script = "sleep 60 & exit 2"
        await it.shell("c", script, namespaces=host, user_base=0)
        assert (await it.exit_of("c")).code == 2
        await it.supervisor.delete("c")
        assert processes_in(it.group("c")) == []

    yard(scenario)


def test_containers_inherit_nothing_of_the_keeper_s_privileges(yard):
    async def scenario(it):
        await it.shell("c", "ls /proc/self/fd; grep SigIgn /proc/self/status; ulimit -n")
        await it.exit_of("c")
        lines = it.logged("c").split()
        assert lines[:4] == ["0", "1", "2", "3"]
        # posix_spawn(3) leaves 32 and 33, which belong to libc, ignored: nobody can tell.
        ignored = int(lines[lines.index("SigIgn:") + 1], 16)
        assert ignored & 0x7FFF_FFFF == 0

    yard(scenario)


def test_the_launcher_cannot_be_overwritten_through_proc(yard):
    async def scenario(it):
        assert not executable_opens_for_writing(it.supervisor.launcher_pid)
        pid = await it.create("c", "sleep", "60")
        assert not executable_opens_for_writing(pid)

    yard(scenario)


def test_many_containers_at_once(yard):
    async def scenario(it):
        names = [f"c{number}" for number in range(12)]
        await asyncio.gather(*(it.shell(name, f"echo {name}") for name in names))
        for name in names:
            assert (await it.exit_of(name)).code == 0
            assert it.logged(name) == f"{name}\n"
        await asyncio.gather(*(it.supervisor.delete(name) for name in names))

    yard(scenario)


def test_a_keeper_that_is_killed_takes_no_container_with_it(yard, kill, read_until):
    async def scenario(it):
        loop = asyncio.get_running_loop()
        await it.shell("c", "printf begun; cat; exit 9", open_stdin=True, stdin_once=True)
        client = await it.attach("c")
        await loop.sock_sendall(client, b" one")
        await read_until(client, b" one")
        session = await it.exec("c", "e", "cat")
        keeper = it.supervisor.keeper_pid
        kill(keeper)
        await loop.sock_sendall(client, b" two\n")
        await read_until(client, b" two\n")
        await loop.sock_sendall(session, b"session\n")
        await read_until(session, b"session\n")
        assert it.supervisor.keeper_pid != keeper
        session.shutdown(socket.SHUT_WR)
        assert (await it.exit_of("c", "e")).code == 0
        client.shutdown(socket.SHUT_WR)
        assert (await it.exit_of("c")).code == 9
        assert it.logged("c") == "begun one two\n"

    yard(scenario)


def test_a_terminal_survives_its_keeper(yard, kill, read_until):
    async def scenario(it):
        loop = asyncio.get_running_loop()
        await it.run("c", "sh", terminal=True, open_stdin=True)
        client = await it.attach("c")
        kill(it.supervisor.keeper_pid)
        await loop.sock_sendall(client, b"echo still here\n")
        await read_until(client, b"\r\nstill here\r\n")
        await it.supervisor.signal("c", signal.SIGKILL)
        assert (await it.exit_of("c")).code == 137

    yard(scenario)


def test_a_launcher_that_is_killed_is_replaced(yard, kill):
    async def scenario(it):
        await it.run("a", "sleep", "60")
        kill(it.supervisor.launcher_pid)
        for attempt in range(2):
            try:
                await it.run(f"b{attempt}", "true")
            except UnavailableError:
                continue
            break
        assert (await it.exit_of(f"b{attempt}")).code == 0
        states = await it.supervisor.statuses()
        assert {s.container_id for s in states if s.running} == {"a"}

    yard(scenario)


def test_a_daemon_that_went_away_finds_everything_again(yard, read_until):
    async def scenario(it):
        loop = asyncio.get_running_loop()
        await it.run("c", "cat", open_stdin=True)
        await it.run("d", "sh", "-c", "exit 7")
        await it.exit_of("d")
        await it.supervisor.close()
        await it.connect()
        states = {s.container_id: s for s in await it.supervisor.statuses()}
        assert states["c"].running
        assert states["d"].exit.code == 7
        client = await it.attach("c")
        await loop.sock_sendall(client, b"hello\n")
        await read_until(client, b"hello\n")
        assert it.logged("c") == "hello\n"

    yard(scenario)
