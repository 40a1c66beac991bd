"""The API as clients see it on the wire, beyond what their command lines show."""

import json
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.crash.host import Host

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns, pytest.mark.slow]

Namer = Callable[[], str]
UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n"
PATIENCE = 20.0


class Wire:
    """A connection that shows the bytes."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(path))
        self.rest = b""

    def ask(self, method: str, path: str, body: object = None, headers: str = "") -> None:
        data = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n{headers}\r\n"
        )
        self.socket.sendall(head.encode() + data)

    def until(self, mark: bytes) -> bytes:
        """What came, up to and including a mark."""
        while mark not in self.rest:
            data = self.socket.recv(65536)
            assert data, (mark, self.rest)
            self.rest += data
        found, _, self.rest = self.rest.partition(mark)
        return found + mark

    def head(self) -> tuple[int, dict[str, str]]:
        status, *lines = self.until(b"\r\n\r\n").decode().strip().split("\r\n")
        return int(status.split()[1]), dict(line.split(": ", 1) for line in lines)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """A whole answer that states its length."""
        status, headers = self.head()
        length = int(headers.get("Content-Length", "0"))
        while len(self.rest) < length:
            self.rest += self.socket.recv(65536)
        body, self.rest = self.rest[:length], self.rest[length:]
        return status, headers, body

    def to_the_end(self) -> bytes:
        while data := self.socket.recv(65536):
            self.rest += data
        return self.rest

    def silent(self) -> bool:
        return not self.rest and not select.select([self.socket], [], [], 0)[0]


@pytest.fixture
def wire(host: Host) -> Iterator[Callable[[], Wire]]:
    made: list[Wire] = []

    def connect() -> Wire:
        made.append(Wire(host.exec / "boxship.sock"))
        return made[-1]

    yield connect
    for one in made:
        one.socket.close()


@contextmanager
def running(host: Host, name: str, *command: str, **config: object) -> Iterator[str]:
    host.create(*command, name=name, **config)
    host.post(f"/containers/{name}/start")
    yield name


@pytest.mark.parametrize("prefix", ["", "/v1.24", "/v1.41", "/v1.51", "/v1.99"])
def test_ping(wire: Callable[[], Wire], prefix: str) -> None:
    one = wire()
    one.ask("GET", f"{prefix}/_ping")
    status, headers, body = one.answer()
    assert (status, body) == (200, b"OK")
    assert headers["Api-Version"] == "1.51"
    assert headers["Ostype"] == "linux"
    assert headers["Docker-Experimental"] == "false"
    assert headers["Builder-Version"] == "1"
    assert headers["Swarm"] == "inactive"
    assert headers["Cache-Control"] == "no-cache, no-store, must-revalidate"
    one.ask("HEAD", f"{prefix}/_ping")
    status, headers = one.head()
    assert (status, headers["Content-Length"], one.rest) == (200, "0", b"")


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/nothing", 404, "page not found"),
        ("GET", "/v1.41/nothing", 404, "page not found"),
        ("GET", "/containers/nosuch/json", 404, "No such container: nosuch"),
        ("GET", "/images/nosuch/json", 404, "No such image: nosuch:latest"),
        ("GET", "/exec/nosuch/json", 404, "No such exec instance: nosuch"),
        ("GET", "/containers/json?filters={", 400, "invalid filter"),
        ("GET", "/swarm", 503, "This node is not a swarm manager."),
        ("POST", "/swarm/init", 503, "This node is not a swarm manager."),
        ("GET", "/services", 503, "This node is not a swarm manager."),
        ("POST", "/session", 501, "BuildKit sessions"),
        ("POST", "/grpc", 501, "BuildKit"),
        ("GET", "/containers/x/stats", 501, "container statistics"),
        ("PUT", "/containers/x/archive", 501, "copying into containers"),
        ("POST", "/commit", 501, "committing containers"),
        ("GET", "/distribution/x/json", 501, "GET /distribution/x/json"),
    ],
)
def test_refusals_are_plain_json(
    wire: Callable[[], Wire], method: str, path: str, status: int, message: str
) -> None:
    one = wire()
    one.ask(method, path)
    code, headers, body = one.answer()
    assert code == status
    # With a charset Docker's clients would show the JSON itself.
    assert headers["Content-Type"] == "application/json"
    assert message in json.loads(body)["message"]


@pytest.mark.parametrize("path", ["/containers/json", "/images/json", "/networks", "/plugins"])
def test_empty_listings_are_lists(host: Host, path: str) -> None:
    assert host.get(path, filters='{"label":["no=such"]}') == []


def test_inspect_has_what_clients_read_without_looking(host: Host, name: Namer) -> None:
    one = name()
    host.create("true", name=one)
    document = host.inspect(one)
    assert document["State"]["Status"] == "created"
    assert document["State"]["StartedAt"] == "0001-01-01T00:00:00Z"
    assert document["Config"]["Image"] == "busybox"
    assert document["Image"].startswith("sha256:")
    assert document["NetworkSettings"]["Ports"] == {}
    assert document["Name"] == f"/{one}"
    assert document["Mounts"] == []


def test_events_are_sent_as_they_happen(wire: Callable[[], Wire], host: Host, name: Namer) -> None:
    one = wire()
    one.ask("GET", "/events")
    status, headers = one.head()
    assert (status, headers["Transfer-Encoding"]) == (200, "chunked")
    assert one.silent()
    container = host.create("true", name=name(), Labels={"a": "b"})
    one.until(b"\r\n")
    event = json.loads(one.until(b"\n"))
    assert (event["Type"], event["Action"], event["scope"]) == ("container", "create", "local")
    assert event["Actor"]["ID"] == event["id"] == container
    assert event["status"] == "create"
    assert event["Actor"]["Attributes"]["a"] == "b"
    assert event["from"] == event["Actor"]["Attributes"]["image"] == "busybox"
    assert event["timeNano"] // 10**9 == event["time"]


@pytest.mark.parametrize("condition", ["next-exit", "removed"])
def test_wait_answers_in_two_parts(
    wire: Callable[[], Wire], host: Host, name: Namer, condition: str
) -> None:
    container = host.create("sh", "-c", "exit 3", name=name(), host={"AutoRemove": True})
    one = wire()
    one.ask("POST", f"/containers/{container}/wait?condition={condition}")
    assert one.head()[0] == 200
    assert one.silent()
    host.post(f"/containers/{container}/start")
    one.until(b"\r\n")
    assert json.loads(one.until(b"}")) == {"StatusCode": 3}


@pytest.mark.parametrize(
    ("version", "tty", "kind"),
    [
        ("1.41", False, "raw"),
        ("1.42", False, "multiplexed"),
        ("1.51", True, "raw"),
    ],
)
def test_attach_takes_the_connection_over(
    wire: Callable[[], Wire], host: Host, name: Namer, version: str, tty: bool, kind: str
) -> None:
    container = host.create("cat", name=name(), OpenStdin=True, StdinOnce=True, Tty=tty)
    one = wire()
    query = "stream=1&stdin=1&stdout=1&stderr=1"
    one.ask("POST", f"/v{version}/containers/{container}/attach?{query}", headers=UPGRADE)
    status = one.until(b"\r\n")
    assert status == b"HTTP/1.1 101 UPGRADED\r\n"
    head = one.until(b"\r\n\r\n").decode()
    assert f"Content-Type: application/vnd.docker.{kind}-stream\r\n" in head
    assert "Connection: Upgrade\r\nUpgrade: tcp\r\n" in head
    host.post(f"/containers/{container}/start")
    one.socket.sendall(b"hi\n")
    if tty:
        assert one.until(b"hi\r\nhi\r\n") == b"hi\r\nhi\r\n"
        one.socket.sendall(b"\x04")
    else:
        assert one.until(b"hi\n") == b"\x01\0\0\0\0\0\0\x03hi\n"
        one.socket.shutdown(socket.SHUT_WR)
    assert one.to_the_end() == b""
    assert host.until_status(container, "exited")["ExitCode"] == 0


def test_attach_for_a_client_that_knows_no_upgrade(
    wire: Callable[[], Wire], host: Host, name: Namer
) -> None:
    container = host.create("echo", "hi", name=name())
    one = wire()
    one.ask("POST", f"/containers/{container}/attach?stream=1&stdout=1")
    assert one.until(b"\r\n") == b"HTTP/1.1 200 OK\r\n"
    one.until(b"\r\n\r\n")
    host.post(f"/containers/{container}/start")
    assert one.to_the_end() == b"\x01\0\0\0\0\0\0\x03hi\n"


def test_attach_over_a_websocket(wire: Callable[[], Wire], host: Host, name: Namer) -> None:
    container = host.create("cat", name=name(), OpenStdin=True, StdinOnce=True)
    one = wire()
    one.ask(
        "GET",
        f"/containers/{container}/attach/ws?stream=1&stdin=1&stdout=1",
        headers="Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    )
    status, headers = one.head()
    assert status == 101
    assert headers["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    host.post(f"/containers/{container}/start")
    # A masked text frame, as RFC 6455 section 5.7 shows it.
    one.socket.sendall(bytes.fromhex("818537fa213d7f9f4d5158"))
    assert one.until(b"Hello") == b"\x82\x05Hello"
    host.post(f"/containers/{container}/kill")
    assert one.to_the_end() == b"\x88\x02\x03\xe8"


def test_input_of_one_attached_client_is_not_the_container_s_last(
    wire: Callable[[], Wire], host: Host, name: Namer
) -> None:
    with running(host, name(), "cat", OpenStdin=True) as container:
        for text in (b"a\n", b"b\n"):
            one = wire()
            query = "stream=1&stdin=1&stdout=1"
            one.ask("POST", f"/containers/{container}/attach?{query}", headers=UPGRADE)
            one.until(b"\r\n\r\n")
            one.socket.sendall(text)
            one.until(text)
            one.socket.shutdown(socket.SHUT_WR)
            one.socket.close()
        assert host.state(container)["Running"] is True
        host.post(f"/containers/{container}/kill")


@pytest.mark.parametrize(
    ("tty", "asked", "expected"),
    [
        (False, False, b"\x01\0\0\0\0\0\0\x03hi\n"),
        (True, True, b"hi\r\n"),
        (True, False, b"\x01\0\0\0\0\0\0\x04hi\r\n"),
    ],
)
def test_exec_is_framed_as_its_start_asked(
    wire: Callable[[], Wire], host: Host, name: Namer, tty: bool, asked: bool, expected: bytes
) -> None:
    with running(host, name(), "sleep", "100") as container:
        body = {"Cmd": ["echo", "hi"], "AttachStdout": True, "Tty": tty}
        made = host.post(f"/containers/{container}/exec", body)["Id"]
        one = wire()
        one.ask("POST", f"/exec/{made}/start", {"Tty": asked}, UPGRADE)
        one.until(b"\r\n\r\n")
        assert one.to_the_end() == expected
        assert host.get(f"/exec/{made}/json")["ExitCode"] == 0


def test_an_exec_that_cannot_start_says_so_in_its_stream(
    wire: Callable[[], Wire], host: Host, name: Namer
) -> None:
    with running(host, name(), "sleep", "100") as container:
        body = {"Cmd": ["nosuch"], "AttachStderr": True}
        made = host.post(f"/containers/{container}/exec", body)["Id"]
        one = wire()
        one.ask("POST", f"/exec/{made}/start", {}, UPGRADE)
        assert one.until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 UPGRADED\r\n")
        assert b"executable file not found in $PATH" in one.to_the_end()
        assert host.get(f"/exec/{made}/json")["ExitCode"] == 127


def test_logs_want_a_stream(wire: Callable[[], Wire], host: Host, name: Namer) -> None:
    container = host.create("true", name=name())
    one = wire()
    one.ask("GET", f"/containers/{container}/logs")
    status, _, body = one.answer()
    assert status == 400
    assert "you must choose at least one stream" in json.loads(body)["message"]


def test_start_and_stop_twice_is_304(wire: Callable[[], Wire], host: Host, name: Namer) -> None:
    with running(host, name(), "sleep", "100") as container:
        one = wire()
        one.ask("POST", f"/containers/{container}/start")
        assert one.answer()[0] == 304
        one.ask("POST", f"/containers/{container}/stop?t=0")
        assert one.answer()[0] == 204
        one.ask("POST", f"/containers/{container}/stop?t=0")
        assert one.answer()[0] == 304


def test_a_damaged_archive_is_told_within_the_answer(host: Host) -> None:
    with host.open("POST", "/images/load", b"no archive") as response:
        last = json.loads(response.read().splitlines()[-1])
    assert response.status == 200
    assert "truncated or damaged" in last["error"]
    assert last["errorDetail"]["message"] == last["error"]


def test_filters_in_both_forms_find_the_same(host: Host, name: Namer) -> None:
    container = host.create("true", name=name(), Labels={"found": "yes"})
    for filters in ('{"label":["found=yes"]}', '{"label":{"found=yes":true}}'):
        found = host.get("/containers/json", all="1", limit="-1", filters=filters)
        assert [one["Id"] for one in found] == [container]
