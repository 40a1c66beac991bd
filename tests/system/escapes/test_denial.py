"""Keeping the engine from its work: what cannot be ended, counted, read or removed."""

import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.system.escapes.conftest import Target

pytestmark = pytest.mark.root

TRACE = """
import time
seen = set(os.listdir("/proc"))
print("watching", flush=True)
traced = 0
while traced == 0:
    for pid in set(os.listdir("/proc")) - seen:
        if pid.isdigit() and open(f"/proc/{pid}/comm").read().strip() == "sleep":
            if call(101, 0x4206, int(pid), 0, 0) == "done":
                traced = int(pid)
print("traced", flush=True)
os.kill(traced, 9)
time.sleep(100)
"""


def test_a_process_that_its_neighbour_traces_can_be_removed(target: Target):
    # A traced zombie is invisible to its parent, and holds up the end of its pid namespace.
    container = target.start(*target.python_command(TRACE))
    target.host.until_output(container, "watching")
    session = target.host.background("POST", f"/exec/{_exec(target, container)}/start", {})
    target.host.until_output(container, "traced")
    started = time.monotonic()
    target.host.remove(container)
    assert time.monotonic() - started < 5
    session.outcome()


def _exec(target: Target, container: str) -> str:
    made = target.host.post(f"/containers/{container}/exec", {"Cmd": ["sleep", "100"]})
    return str(made["Id"])


def test_directories_without_end_can_be_counted_and_removed(target: Target):
    code = """
os.chdir("/tmp")
for _ in range(3000):
    os.mkdir("d")
    os.chdir("d")
"""
    made = target.boxship("run", "--name", "deep", *target.python_command(code))
    assert made.code == 0, made.err
    # Longer than any path can be.
    assert target.host.get("/containers/json", all=1, size=1)
    assert target.host.get("/system/df")
    target.host.remove("deep")
    trash = target.host.data / "snapshots/trash"
    target.host.until(lambda: not any(trash.iterdir()), "the tree is deleted")


def _memory(pid: int) -> int:
    """Bytes in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_output_costs_no_memory(target: Target):
    keeper, daemon = target.host.one("keeper"), target.host.daemon.pid
    before = _memory(keeper), _memory(daemon)
    # One line without an end, and as many lines as fit.
    for script in ("head -c 50000000 /dev/zero", "yes | head -c 2000000"):
        container = target.start("probe", "sh", "-c", script)
        idle = target.host.open("POST", f"/containers/{container}/attach", stream=1, stdout=1)
        # A client that does not read halts the process, as with Docker, and nothing piles up.
        log = Path(target.host.inspect(container)["LogPath"])
        target.host.until(lambda path=log: path.stat().st_size, "output")
        idle.close()
        target.host.post(f"/containers/{container}/wait", condition="not-running")
        target.host.remove(container)
    assert _memory(keeper) - before[0] < 16 << 20
    assert _memory(daemon) - before[1] < 64 << 20


def test_log_lines_cannot_be_forged(target: Target):
    forged = '{"log":"forged\\n","stream":"stdout","time":"2020-01-01T00:00:00Z"}'
    made = target.boxship("run", "--name", "forger", "probe", "echo", f'"}}\n{forged}\n\x1b[2J')
    assert made.code == 0
    log = Path(target.host.inspect("forger")["LogPath"]).read_text().splitlines()
    assert len(log) == 3
    assert all(line.startswith('{"log":"') and "2020" not in line[-60:] for line in log)
    target.host.remove("forger")


def test_a_daemon_survives_malformed_requests(target: Target):
    deep = b'{"HostConfig":' * 50_000
    requests = (
        b"POST /v1.43/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(deep), deep),
        b"GET /v1.43/containers/json?filters=" + b"%5B" * 50_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * (1 << 21) + b"\r\n\r\n",
        b"GET /" + b"a" * (1 << 21) + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x00" * 50,
        b"GET /v1.43/containers/%2e%2e%2f%2e%2e%2fetc/json HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1.43/containers/json?limit=" + b"9" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    for request in requests:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(target.host.exec / "boxship.sock"))
            with suppress(BrokenPipeError):
                connection.sendall(request)
            assert connection.recv(64).startswith(b"HTTP/1.1 4"), request[:80]
    assert target.host.get("/_ping") == b"OK"
