"""kill -9 of daemon, keeper and launcher, alone and together, while containers run."""

import os
import shutil
import socket
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns]

PORT = 18080
ROLES = [
    ("daemon",),
    ("keeper",),
    ("launcher",),
    ("daemon", "launcher"),
    ("keeper", "launcher"),
    ("daemon", "keeper"),
    ("daemon", "keeper", "launcher"),
]


class Gate:
    """A named pipe that a container echoes line by line."""

    def __init__(self, host: Any) -> None:
        self.directory = host.root / "gate"
        self.directory.mkdir(mode=0o755)
        self._path = self.directory / "fifo"
        os.mkfifo(self._path)
        self._path.chmod(0o666)
        self._fd = os.open(self._path, os.O_RDWR)
        self._count = 0
        self.id = host.run(
            "sh",
            "-c",
            "while read x; do echo $x; done < /gate/fifo",
            name="gate",
            host={"Binds": [f"{self.directory}:/gate"]},
        )

    def send(self, count: int) -> None:
        """Have the container write this many further lines."""
        lines = (f"{self._count + i}\n" for i in range(count))
        os.write(self._fd, "".join(lines).encode())
        self._count += count

    def expected(self) -> str:
        return "".join(f"{i}\n" for i in range(self._count))

    def close(self) -> None:
        os.close(self._fd)


def recover(host: Any, roles: tuple[str, ...]) -> None:
    """Kill, start the daemon again if it was killed, and wait for all three to be there."""
    host.kill(*roles)
    if "daemon" in roles:
        host.start()
    for role in ("keeper", "launcher"):
        host.one(role)


def attached(host: Any, ref: str) -> socket.socket:
    """A raw connection to a container's streams."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(str(host.exec / "boxship.sock"))
    sock.sendall(
        f"POST /v1.41/containers/{ref}/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\n"
        "Host: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(1)
    assert head.startswith(b"HTTP/1.1 101"), head
    return sock


def read_until(sock: socket.socket, text: bytes) -> bytes:
    seen = b""
    while text not in seen:
        data = sock.recv(4096)
        assert data, seen
        seen += data
    return seen


def check_conversations(host: Any, *, lost: bool) -> None:
    """Who reads is still spoken to; when nobody was left to hold its input, it read the end."""
    for ref in ("talk", "tty"):
        if lost:
            # Its exit code is known when the next keeper came before it ended.
            assert host.until_status(ref, "exited")["ExitCode"] in (0, 129, 255)
            continue
        with attached(host, ref) as sock:
            sock.sendall(b"hello\n")
            assert b"got hello" in read_until(sock, b"got hello")
        if ref == "tty":
            host.post("/containers/tty/resize", h=33, w=44)
            assert host.terminal_size("tty") == "33 44"


@pytest.fixture
def network(host: Any) -> str:
    host.post("/networks/create", {"Name": "mynet"})
    return "mynet"


@pytest.mark.parametrize("roles", ROLES, ids="+".join)
def test_containers_go_on(host: Any, network: str, roles: tuple[str, ...]) -> None:
    gate = Gate(host)
    web = host.run(
        *("nc", "-ll", "-p", "80", "-e", "echo", "served"),
        name="web",
        ExposedPorts={"80/tcp": {}},
        host={
            "NetworkMode": network,
            "PortBindings": {"80/tcp": [{"HostPort": str(PORT)}]},
            "Binds": ["vol:/data"],
        },
    )
    script = "trap 'exit 9' TERM; while read x; do echo got $x; done"
    host.run("sh", "-c", script, name="talk", OpenStdin=True)
    host.run("sh", "-c", script, name="tty", OpenStdin=True, Tty=True)
    before = host.inspect("web")
    gate.send(300)
    if "launcher" not in roles:
        gate.send(300)
    host.kill(*roles)
    gate.send(300)
    if "daemon" in roles:
        host.start()
    gate.send(300)
    # An exec needs all three.
    assert host.execute("web", "cat", "/proc/1/cmdline").startswith("nc")
    assert host.until_output("gate", gate.expected()[-5:]) == gate.expected()
    after = host.inspect("web")
    assert after["State"] == before["State"]
    assert after["NetworkSettings"]["Ports"] == before["NetworkSettings"]["Ports"]
    assert host.until_served(PORT) == b"served\n"
    # Names of the user network are still answered.
    peer = host.run("sleep", "1000", host={"NetworkMode": network})
    assert host.execute(peer, "nc", "web", "80") == "served\n"
    check_conversations(host, lost={"daemon", "keeper"} <= set(roles))
    assert host.leaks(volume={"vol"}) == []
    host.post("/containers/gate/stop", t=0)
    assert host.state("gate")["ExitCode"] == 137
    host.remove(web)
    with pytest.raises(ConnectionRefusedError):
        host.fetch(PORT)
    again = host.run(
        *("nc", "-ll", "-p", "80", "-e", "echo", "again"),
        ExposedPorts={"80/tcp": {}},
        host={"NetworkMode": "bridge", "PortBindings": {"80/tcp": [{"HostPort": str(PORT)}]}},
    )
    assert host.until_served(PORT) == b"again\n"
    assert host.leaks(volume={"vol"}) == []
    for one in (again, peer, "talk", "tty", "gate"):
        host.remove(one)
    gate.close()
    assert host.leaks(volume={"vol"}) == []


@pytest.mark.slow
@pytest.mark.parametrize("roles", ROLES, ids="+".join)
def test_one_of_an_external_runtime_goes_on(host: Any, roles: tuple[str, ...]) -> None:
    if shutil.which("runc") is None:
        pytest.skip("runc is not installed")
    script = "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done"
    one = host.run("sh", "-c", script, host={"Runtime": "runc"})
    host.until_output(one, "up")
    before = host.state(one)
    host.kill(*roles)
    if "daemon" in roles:
        host.start()
    assert host.until_status(one, "running")["Pid"] == before["Pid"]
    assert host.execute(one, "echo", "hi") == "hi\n"
    host.post(f"/containers/{one}/stop")
    assert host.state(one)["ExitCode"] == 3
    host.remove(one)
    assert host.leaks() == []
