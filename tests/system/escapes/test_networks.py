"""Reaching what a network is to keep away: other networks, the host's loopback, private ports."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.escapes.conftest import Target

pytestmark = pytest.mark.root

SERVE = "while true; do echo reached | nc -l -p 8080; done"


@pytest.fixture
def networks(target: Target) -> Iterator[Target]:
    for name, options in (("escape-a", ()), ("escape-b", ()), ("escape-in", ("--internal",))):
        made = target.boxship("network", "create", *options, name)
        assert made.code == 0, made.err
    yield target
    for container in target.host.get("/containers/json", all=1):
        target.host.remove(container["Id"])
    for name in ("escape-a", "escape-b", "escape-in"):
        target.boxship("network", "rm", name)


def address(target: Target, container: str, network: str) -> str:
    return str(target.host.inspect(container)["NetworkSettings"]["Networks"][network]["IPAddress"])


def gateway(target: Target, network: str) -> str:
    return str(target.host.get(f"/networks/{network}")["IPAM"]["Config"][0]["Gateway"])


def reach(target: Target, network: str, *places: str) -> str:
    """What somebody on a network gets from any of these `address port`."""
    script = " & ".join(f"nc -w 1 {place} < /dev/null" for place in places) + " & wait"
    return target.run("--network", network, "probe", "sh", "-c", script).out


def test_networks_are_apart(networks: Target):
    served = networks.start("--name", "served", "--network", "escape-b", "probe", "sh", "-c", SERVE)
    inner = networks.start("--network", "escape-in", "probe", "sh", "-c", SERVE)
    ours = address(networks, served, "escape-b")
    networks.host.until(
        lambda: "reached" in reach(networks, "escape-b", f"{ours} 8080"), "it serves its neighbours"
    )
    hidden = address(networks, inner, "escape-in")
    for network in ("escape-a", "bridge", "escape-in"):
        assert "reached" not in reach(networks, network, f"{ours} 8080"), network
    for network in ("escape-a", "bridge"):
        assert "reached" not in reach(networks, network, f"{hidden} 8080"), network
    # Nor by name.
    looked = networks.run("--network", "escape-a", "probe", "nslookup", "served", "127.0.0.11")
    assert ours not in looked.out


@contextlib.contextmanager
def server(target: Target, host: str, port: int) -> Iterator[None]:
    """A service of the host."""
    listener: Any = target.host.inside(lambda: socket.create_server((host, port)))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.sendall(b"reached")
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


LOOPBACK = """
import socket, struct, time
# A packet to 127.0.0.1 on the wire, which the bridge's route_localnet would let in: CVE-2020-8558.
gateway = sys.argv[1] if len(sys.argv) > 1 else ""
mac = None
for line in open("/proc/net/arp").read().splitlines()[1:]:
    mac = line.split()[3]
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x800))
raw.bind(("eth0", 0))
own = raw.getsockname()[4]
def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff
source = socket.inet_aton(ADDRESS)
for target in ("127.0.0.1", "127.0.0.11"):
    destination = socket.inet_aton(target)
    tcp = struct.pack(">HHIIBBHHH", 40000, PORT, 1, 0, 0x50, 2, 1024, 0, 0)
    pseudo = source + destination + struct.pack(">BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack(">H", checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, source, destination)
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    raw.send(bytes.fromhex(mac.replace(":", "")) + own + b"\\x08\\x00" + ip + tcp)
raw.settimeout(0.5)
end = time.monotonic() + 1
while time.monotonic() < end:
    try:
        packet = raw.recv(2048)[14:]
    except TimeoutError:
        break
    if packet[9] == 6 and packet[12] == 127 and packet[33] & 0x12 == 0x12:
        print("answered by", socket.inet_ntoa(packet[12:16]))
"""


def test_the_hosts_loopback_is_out_of_reach(networks: Target):
    place = gateway(networks, "escape-a")
    with server(networks, "127.0.0.1", 18180):
        assert networks.host.fetch(18180) == b"reached"
        assert "reached" not in reach(networks, "escape-a", f"{place} 18180")
        # The address is asked for first, so that the gateway's hardware address is known.
        code = LOOPBACK.replace("PORT", "18180")
        code = (
            "import socket\n"
            "probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            f"probe.connect(('{place}', 9)); probe.send(b'')\n"
            "ADDRESS = probe.getsockname()[0]\n"
            "import time\n"
            "end = time.monotonic() + 2\n"
            "while ':' not in open('/proc/net/arp').read().partition(chr(10))[2]"
            " and time.monotonic() < end: pass\n" + code
        )
        result = networks.python(code, "--network", "escape-a")
        assert (result.code, result.out) == (0, ""), result.err


def test_a_port_published_on_loopback_stays_there(networks: Target):
    publish = ("-p", "127.0.0.1:18181:8080")
    networks.start("--network", "escape-b", *publish, "probe", "sh", "-c", SERVE)
    assert networks.host.until_served(18181) == b"reached\n"
    for network in ("escape-a", "bridge", "escape-in"):
        places = [f"{gateway(networks, one)} 18181" for one in ("escape-a", "escape-b", "bridge")]
        assert "reached" not in reach(networks, network, *places, "127.0.0.1 18181"), network


def test_one_container_does_not_exhaust_the_resolver(networks: Target):
    code = """
import socket
held = []
for _ in range(200):
    connection = socket.socket()
    connection.settimeout(1)
    try:
        connection.connect(("127.0.0.11", 53))
        connection.sendall(b"\\x00")
    except OSError:
        break
    held.append(connection)
closed = 0
for connection in held:
    try:
        closed += connection.recv(1) == b""
    except ConnectionResetError:
        closed += 1
    except TimeoutError:
        break
print(len(held) - closed)
"""
    daemon = networks.host.daemon.pid
    result = networks.python(code, "--network", "escape-a")
    assert result.code == 0, result.err
    assert _descriptors(daemon) < 150
    looked = networks.run("--network", "escape-a", "probe", "nslookup", "nowhere.invalid")
    assert "127.0.0.11" in looked.out


def _descriptors(pid: int) -> int:
    from pathlib import Path  # noqa: PLC0415

    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
