import asyncio
import json
import os
import signal
import socket
import struct
from pathlib import Path

import pytest

from boxship.errors import ConflictError, InvalidArgumentError, NotFoundError
from boxship.runtime.errors import StartFailedError
from boxship.runtime.supervisor import AttachStreams, ExecRequest, LogTarget

ALL = AttachStreams(stdin=True, stdout=True, stderr=True)


def frame(stream: int, text: bytes) -> bytes:
    return struct.pack(">BxxxI", stream, len(text)) + text


def _state(pid: int) -> str:
    """One letter as in ps, or `gone`."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        # It may be reaped between the opening and the reading.
        return "gone"


def unframe(data: bytes) -> dict[int, bytes]:
    streams = {1: b"", 2: b""}
    while data:
        stream, size = struct.unpack_from(">BxxxI", data)
        streams[stream] += data[8 : 8 + size]
        data = data[8 + size :]
    return streams


def test_a_container_runs_is_logged_and_its_exit_is_told_once(keep, read_all):
    async def scenario(bed):
        await bed.create("c", "sh", "-c", "echo out; echo err >&2; exit 3")
        client = await bed.attach("c")
        await bed.supervisor.start("c")
        assert unframe(await read_all(client)) == {1: b"out\n", 2: b"err\n"}
        ended = await bed.exit_of("c")
        assert (ended.code, ended.oom_killed) == (3, False)
        assert {(e["stream"], e["log"]) for e in bed.log("c")} == {
            ("stdout", "out\n"),
            ("stderr", "err\n"),
        }
        (status,) = await bed.supervisor.statuses()
        assert (status.running, status.exit) == (False, ended)
        await bed.supervisor.delete("c")
        assert await bed.supervisor.statuses() == []
        assert bed.exits == [ended]

    keep(scenario)


def test_the_exit_is_on_disk_when_it_is_told(keep):
    async def scenario(bed):
        await bed.shell("c", "exit 5")
        ended = await bed.exit_of("c")
        _, recorded = json.loads((bed.exec_root / "keeper" / "c.json").read_text())
        assert recorded == list(ended)
        await bed.supervisor.delete("c")
        assert list((bed.exec_root / "keeper").iterdir()) == []

    keep(scenario)


def test_a_signal_gives_128_and_its_number(keep):
    async def scenario(bed):
        await bed.run("c", "sleep", "60")
        await bed.supervisor.signal("c", signal.SIGTERM)
        assert (await bed.exit_of("c")).code == 143
        with pytest.raises(ConflictError, match="not running"):
            await bed.supervisor.signal("c", signal.SIGTERM)

    keep(scenario)


def test_a_program_that_is_not_there_fails_the_start_and_ends_nothing(keep):
    async def scenario(bed):
        await bed.create("c", "no-such-program")
        client = await bed.attach("c")
        with pytest.raises(StartFailedError, match="executable file not found") as caught:
            await bed.supervisor.start("c")
        assert (caught.value.reason, caught.value.exit_code) == ("not_found", 127)
        assert await asyncio.get_running_loop().sock_recv(client, 10) == b""
        client.close()
        await bed.supervisor.delete("c")
        assert bed.exits == []

    keep(scenario)


def test_a_process_killed_before_its_start_says_so(keep):
    async def scenario(bed):
        pid = await bed.create("c", "true")
        await bed.supervisor.signal("c", signal.SIGKILL)
        while _state(pid) not in ("Z", "gone"):
            await bed.supervisor.statuses()
        with pytest.raises(StartFailedError, match="before it was started"):
            await bed.supervisor.start("c")
        assert bed.exits == []

    keep(scenario)


def test_the_launcher_s_words_come_home(keep):
    async def scenario(bed):
        bed.bundle("c", "true")
        request = bed.request("c", "true")
        bed.bundle("c", "true", error="the address is in use")
        with pytest.raises(ConflictError, match="the address is in use"):
            await bed.supervisor.create(request)
        assert await bed.supervisor.statuses() == []
        await bed.run("c", "true")

    keep(scenario)


def test_a_terminal_is_raw_and_has_a_size(keep, read_all, read_until):
    async def scenario(bed):
        await bed.create("c", "sh", "-c", "read x; stty size", terminal=True, open_stdin=True)
        client = await bed.attach("c")
        await bed.supervisor.start("c")
        await bed.supervisor.resize("c", None, 33, 77)
        await asyncio.get_running_loop().sock_sendall(client, b"go\n")
        assert await read_all(client) == b"go\r\n33 77\r\n"
        assert bed.logged("c") == "go\r\n33 77\r\n"

    keep(scenario)


def test_what_is_typed_before_the_start_is_read(keep, read_all):
    async def scenario(bed):
        await bed.create("c", "sh", "-c", "read x; echo got $x", terminal=True, open_stdin=True)
        client = await bed.attach("c")
        await asyncio.get_running_loop().sock_sendall(client, b"early\n")
        await bed.supervisor.start("c")
        assert (await read_all(client)).endswith(b"got early\r\n")

    keep(scenario)


def test_only_a_terminal_has_a_size(keep):
    async def scenario(bed):
        await bed.run("c", "sleep", "60")
        with pytest.raises(ConflictError, match="no terminal"):
            await bed.supervisor.resize("c", None, 1, 1)

    keep(scenario)


def test_a_client_s_end_of_input_ends_stdin_once(keep, read_all):
    async def scenario(bed):
        await bed.run("c", "cat", open_stdin=True, stdin_once=True)
        client = await bed.attach("c")
        await asyncio.get_running_loop().sock_sendall(client, b"text")
        client.shutdown(socket.SHUT_WR)
        assert await read_all(client) == frame(1, b"text")
        assert (await bed.exit_of("c")).code == 0

    keep(scenario)


def test_without_stdin_once_the_next_client_goes_on(keep, read_until, read_all):
    async def scenario(bed):
        loop = asyncio.get_running_loop()
        await bed.shell("c", "head -n2", open_stdin=True)
        first = await bed.attach("c")
        await loop.sock_sendall(first, b"one\n")
        first.shutdown(socket.SHUT_WR)
        second = await bed.attach("c")
        await loop.sock_sendall(second, b"two\n")
        assert unframe(await read_all(second))[1].endswith(b"two\n")
        assert unframe(await read_all(first))[1] == b"one\ntwo\n"

    keep(scenario)


def test_without_open_stdin_the_process_reads_end_of_file(keep, read_all):
    async def scenario(bed):
        await bed.create("c", "cat")
        client = await bed.attach("c")
        await bed.supervisor.start("c")
        assert await read_all(client) == b""

    keep(scenario)


def test_a_lot_of_input_passes_through_a_slow_reader(keep, read_all):
    async def scenario(bed):
        loop = asyncio.get_running_loop()
        script = "read x; wc -c"
        await bed.shell("c", script, open_stdin=True, stdin_once=True)
        client = await bed.attach("c")
        text = b"go\n" + b"x" * 3_000_000
        await loop.sock_sendall(client, text)
        client.shutdown(socket.SHUT_WR)
        assert unframe(await read_all(client))[1].strip() == b"3000000"

    keep(scenario)


def test_a_client_that_does_not_read_holds_the_process_back_and_misses_nothing(keep, read_all):
    async def scenario(bed):
        size = 6_000_000
        await bed.create("c", "head", "-c", str(size), "/dev/zero", log=None)
        client = await bed.attach("c")
        await bed.supervisor.start("c")
        watcher = await bed.supervisor.attach("c", stdin=False, stdout=True, stderr=True)
        watched = asyncio.create_task(read_all(watcher))
        done, _ = await asyncio.wait({watched}, timeout=0.2)
        assert not done
        data = await read_all(client)
        assert len(unframe(data)[1]) == size
        await watched

    keep(scenario)


def test_captured_output_waits_for_its_reader(keep, read_all):
    async def scenario(bed):
        await bed.shell("c", "echo early; sleep 0.1", capture=True, log=None)
        client = await bed.attach("c")
        assert unframe(await read_all(client))[1] == b"early\n"

    keep(scenario)


def test_a_client_after_the_end_reads_end_of_file(keep, read_all):
    async def scenario(bed):
        await bed.shell("c", "echo gone")
        await bed.exit_of("c")
        assert await read_all(await bed.attach("c")) == b""
        with pytest.raises(NotFoundError):
            await bed.attach("other")

    keep(scenario)


def test_the_exit_does_not_wait_for_those_who_keep_the_pipe(keep):
    async def scenario(bed):
        await bed.shell("c", "sleep 60 & echo $!")
        assert (await bed.exit_of("c")).code == 0
        os.kill(int(bed.logged("c")), signal.SIGKILL)

    keep(scenario)


def test_what_is_in_the_pipe_at_the_exit_is_not_lost(keep):
    async def scenario(bed):
        await bed.shell("c", "head -c 60000 /dev/zero | tr '\\0' x; exit 1")
        assert (await bed.exit_of("c")).code == 1
        assert bed.logged("c") == "x" * 60000
        assert [len(entry["log"]) for entry in bed.log("c")] == [16384, 16384, 16384, 10848]

    keep(scenario)


def exec_request(name: str, *args: str, **options: object) -> ExecRequest:
    values = {"terminal": False, "open_stdin": True, **options}
    return ExecRequest("c", name, {"args": list(args)}, **values)


def test_exec_misses_no_output_and_reports_its_exit(keep, read_all):
    async def scenario(bed):
        await bed.run("c", "sleep", "60")
        request = exec_request("e", "sh", "-c", "cat; exit 4")
        pid, client = await bed.supervisor.exec(request, ALL)
        assert pid > 0
        await asyncio.get_running_loop().sock_sendall(client, b"in")
        client.shutdown(socket.SHUT_WR)
        assert await read_all(client) == frame(1, b"in")
        assert (await bed.exit_of("c", "e")).code == 4
        (status,) = await bed.supervisor.statuses()
        assert status.running
        assert status.execs == ()

    keep(scenario)


def test_exec_in_a_terminal(keep, read_all):
    async def scenario(bed):
        await bed.run("c", "sleep", "60")
        request = exec_request("e", "tty", terminal=True)
        _, client = await bed.supervisor.exec(request, ALL)
        assert (await read_all(client)).startswith(b"/dev/pts/")

    keep(scenario)


def test_exec_of_what_is_not_there(keep):
    async def scenario(bed):
        await bed.run("c", "sleep", "60")
        with pytest.raises(StartFailedError, match="not found"):
            await bed.supervisor.exec(exec_request("e", "no-such-program"), ALL)
        with pytest.raises(NotFoundError):
            await bed.supervisor.signal_exec("c", "e", 9)
        assert bed.exits == []

    keep(scenario)


def test_exec_takes_signals_and_shows_in_the_status(keep):
    async def scenario(bed):
        await bed.run("c", "sleep", "60")
        pid, _ = await bed.supervisor.exec(exec_request("e", "sleep", "60"))
        (status,) = await bed.supervisor.statuses()
        assert [(e.exec_id, e.pid) for e in status.execs] == [("e", pid)]
        await bed.supervisor.signal_exec("c", "e", signal.SIGINT)
        assert (await bed.exit_of("c", "e")).code == 130

    keep(scenario)


def test_exec_needs_a_container_that_runs(keep):
    async def scenario(bed):
        with pytest.raises(NotFoundError):
            await bed.supervisor.exec(exec_request("e", "true"))
        await bed.create("c", "sleep", "60")
        with pytest.raises(ConflictError, match="not running"):
            await bed.supervisor.exec(exec_request("e", "true"))

    keep(scenario)


def test_a_request_bigger_than_a_packet(keep, read_all):
    async def scenario(bed):
        await bed.run("c", "sleep", "60")
        big = "x" * 100_000
        request = exec_request("e", "sh", "-c", "echo $#", "sh", big, big)
        _, client = await bed.supervisor.exec(request, ALL)
        assert unframe(await read_all(client))[1] == b"2\n"

    keep(scenario)


def test_delete_kills_and_forgets(keep):
    async def scenario(bed):
        pid = await bed.run("c", "sleep", "60")
        await bed.supervisor.delete("c")
        assert _state(pid) == "gone"
        assert [e.code for e in bed.exits] == [137]
        await bed.supervisor.delete("c")
        await bed.run("c", "true")

    keep(scenario)


def test_an_id_names_one_process_and_starts_once(keep):
    async def scenario(bed):
        await bed.run("c", "sleep", "60")
        with pytest.raises(ConflictError, match="already has a process"):
            await bed.create("c", "true")
        with pytest.raises(ConflictError, match="started already"):
            await bed.supervisor.start("c")

    keep(scenario)


def test_a_log_that_cannot_be_opened_fails_the_create(keep):
    async def scenario(bed):
        with pytest.raises(InvalidArgumentError, match="No such file or directory"):
            await bed.create("c", "true", log=LogTarget(str(bed.root / "none" / "log")))
        assert await bed.supervisor.statuses() == []

    keep(scenario)


def test_many_at_once(keep):
    async def scenario(bed):
        names = [f"c{number}" for number in range(30)]
        await asyncio.gather(*(bed.shell(name, f"echo {name}") for name in names))
        for name in names:
            assert (await bed.exit_of(name)).code == 0
            assert bed.logged(name) == f"{name}\n"

    keep(scenario)


def test_the_keeper_does_not_end_under_running_containers(keep):
    async def scenario(bed):
        await bed.run("c", "sleep", "60")
        with pytest.raises(ConflictError, match="running"):
            await bed.supervisor.shutdown()
        os.kill(bed.supervisor.keeper_pid, signal.SIGTERM)
        (status,) = await bed.supervisor.statuses()
        assert status.running

    keep(scenario)
