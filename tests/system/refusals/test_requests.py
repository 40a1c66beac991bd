"""Requests that no client of good manners sends: one line, the right status, the daemon goes on."""

import json
import socket
from typing import Any

import pytest

pytestmark = [
    pytest.mark.root,
    pytest.mark.overlayfs,
    pytest.mark.netns,
    pytest.mark.usefixtures("unchanged"),
]

BODIES = [
    (b"{", "(?i)json|truncated|invalid"),
    (b"", "(?i)empty|missing|invalid|truncated|config"),
    (b"[]", "(?i)expected `object`"),
    (b'"text"', "(?i)expected `object`"),
    (b'{"Image": 5}', r"(?i)expected `str.*Image"),
    (b'{"Image": "busybox", "HostConfig": {"Memory": "much"}}', "(?i)expected `int.*Memory"),
    (b'{"Image": "busybox", "HostConfig": {"Memory": -5}}', "(?i)memory"),
    (b'{"Image": "busybox", "Env": ["\xff\xfe"]}', "(?i)invalid|utf"),
    (b'{"Image": "busybox", "Cmd": ["a\\u0000b"]}', "(?i)nul|zero|invalid"),
    (b'{"Image": "busybox", "Hostname": "' + b"x" * 300 + b'"}', "(?i)hostname"),
    (b'{"Image": ""}', "(?i)image|invalid reference|no command"),
    (b"[" * 100_000, "(?i)recursion|expected|nest|invalid|json"),
    (b'{"Image": "' + b"x" * 5_000_000 + b'"}', "(?i)invalid reference|too (long|large)|No such"),
]


@pytest.mark.parametrize(("body", "text"), BODIES, ids=range(len(BODIES)))
def test_create(host: Any, refused: Any, body: bytes, text: str) -> None:
    with pytest.raises(refused, match=text) as error:
        raw(host, "POST", "/v1.41/containers/create", body)
    assert error.value.status in (400, 404, 413)
    assert "\n" not in error.value.message
    assert len(error.value.message) < 2000


def raw(host: Any, method: str, target: str, body: bytes, **headers: str) -> Any:
    """A request as it is; the answer's message is raised as by `host.call`."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(host.exec / "boxship.sock"))
        lines = [f"{method} {target} HTTP/1.1", "Host: x", "Content-Type: application/json"]
        lines += [f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return host.answer(sock)


def test_unknown_fields_are_ignored(host: Any) -> None:
    """Newer clients send more than this engine knows."""
    made = host.post(
        "/containers/create",
        {"Image": "busybox", "Cmd": ["true"], "Later": {"a": 1}, "HostConfig": {"Newer": [1]}},
    )
    host.remove(made["Id"])


@pytest.mark.parametrize(
    ("method", "target", "status", "text"),
    [
        ("GET", "/v1.41/nosuch", 404, "page not found"),
        ("PUT", "/v1.41/containers/json", 404, "page not found"),
        ("GET", "/v1.41/containers/json?filters=%7B", 400, "invalid filter"),
        ("GET", "/v1.41/containers/json?limit=x", 400, "(?i)limit"),
        ("GET", "/v1.41/containers/..%2f..%2fetc/json", 404, "(?i)no such container|not found"),
        ("GET", "/v1.41/containers/%00/json", 404, "(?i)no such container|not found"),
        ("POST", "/v1.41/containers/taken/kill?signal=99", 400, "(?i)invalid signal"),
        ("POST", "/v1.41/containers/taken/resize?h=x&w=1", 400, "h"),
        ("POST", "/v1.41/containers/taken/stop?t=x", 400, "t"),
        ("POST", "/v1.41/containers/taken/wait?condition=x", 400, "invalid condition"),
        ("GET", "/v1.41/containers/taken/logs", 400, "(?i)at least one"),
        ("GET", "/v1.41/containers/taken/logs?stdout=1&tail=x", 200, ""),
        ("GET", "/v1.41/events?since=x", 400, "(?i)since|time"),
        ("POST", "/v1.41/images/create", 400, "(?i)fromImage|fromSrc|image|reference"),
        ("GET", "/v1.41/images/get?names=nosuch", 404, "No such image"),
        ("DELETE", "/v1.41/networks/nosuch", 404, "network nosuch not found"),
        ("POST", "/v1.41/exec/nosuch/start", 404, "(?i)no such exec"),
        ("GET", "/v1.41/swarm", 503, "(?i)swarm"),
        ("GET", "/" + "x" * 70_000, 404, "page not found"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_targets(host: Any, refused: Any, method: str, target: str, status: int, text: str) -> None:
    if status == 200:
        raw(host, method, target, b"")
        return
    with pytest.raises(refused, match=text) as error:
        raw(host, method, target, b"{}" if "exec" in target else b"")
    assert error.value.status == status
    assert "\n" not in error.value.message


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"GET /_ping HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"x" * 3_000_000 + b"\r\n\r\n",
        b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /containers/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["text", "version", "no host", "TLS", "huge header", "length", "chunk"],
)
def test_no_http(host: Any, data: bytes) -> None:
    """Answered with 400 or a closed connection."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(host.exec / "boxship.sock"))
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            answer = sock.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
    assert answer == b"" or answer.split()[1] in (b"400", b"404", b"405", b"431", b"505")
    assert json.loads(json.dumps(host.get("/_ping").decode())) == "OK"
