import os
import socket
import threading

import pytest

from boxship.client.connection import Connection, NoEngineError, quote
from boxship.errors import ConflictError, InvalidArgumentError, NotFoundError, UnavailableError


class Server:
    """Answers every request of one connection with prepared bytes, and keeps what it was sent."""

    def __init__(self, path, answers):
        self.received = []
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self.address = f"unix://{path}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        connection, _ = self._listener.accept()
        with connection:
            for answer in self._answers:
                self.received.append(connection.recv(1 << 16))
                connection.sendall(answer)

    def close(self):
        self._thread.join(5)
        self._listener.close()


@pytest.fixture
def serve(tmp_path):
    servers = []

    def start(*answers):
        servers.append(Server(tmp_path / "s.sock", answers))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def answer(status, body=b"", *headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_a_document_goes_and_comes(serve):
    server = serve(answer("201 Created", b'{"Id":"x"}'))
    connection = Connection(server.address)
    body = {"Image": "a"}
    made = connection.request("POST", "/v1/c d", {"name": "n&", "x": None, "f": True}, body)
    assert (made.status, made.document()) == (201, {"Id": "x"})
    connection.close()
    assert server.received[0].startswith(b"POST /v1/c%20d?name=n%26&f=1 HTTP/1.1\r\n")
    assert server.received[0].endswith(b'\r\n\r\n{"Image":"a"}')


def test_one_connection_serves_many_requests(serve):
    server = serve(answer("204 No Content"), answer("200 OK", b"[]"))
    connection = Connection(server.address)
    assert connection.request("POST", "/a").read() == b""
    assert connection.request("GET", "/b").document() == []
    connection.close()


def test_chunks_are_put_together_and_lines_are_documents(serve):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server = serve(head + b'7\r\n{"a":1}\r\n5\r\n\n{"b"\r\n4\r\n:2}\n\r\n0\r\n\r\n')
    connection = Connection(server.address)
    assert list(connection.request("GET", "/events").documents()) == [{"a": 1}, {"b": 2}]
    connection.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("404 Not Found", NotFoundError),
        ("409 Conflict", ConflictError),
        ("400 Bad Request", InvalidArgumentError),
    ],
)
def test_an_error_is_raised_with_the_engines_words(serve, status, kind):
    server = serve(answer(status, b'{"message":"No such thing: x"}'))
    connection = Connection(server.address)
    with pytest.raises(kind, match=r"^No such thing: x$"):
        connection.request("GET", "/x")
    connection.close()


def test_an_answer_cut_short_is_told(serve):
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    connection = Connection(server.address)
    with pytest.raises(UnavailableError, match="closed the connection within its answer"):
        connection.request("GET", "/x").read()
    connection.close()


def test_after_a_hijack_bytes_go_through_raw(serve):
    head = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    server = serve(head + b"early", b"late")
    connection = Connection(server.address)
    assert connection.request("POST", "/attach").status == 101
    assert connection.buffered()
    assert connection.receive() == b"early"
    connection.send(b"typed")
    assert connection.receive() == b"late"
    connection.close()
    assert server.received[1] == b"typed"


def test_nobody_there(tmp_path):
    with pytest.raises(NoEngineError, match="Cannot connect to the engine"):
        Connection(f"unix://{tmp_path}/none.sock")


def test_an_address_of_another_kind():
    with pytest.raises(InvalidArgumentError, match="cannot connect to 'npipe://x'"):
        Connection("npipe://x")


def test_quote_is_that_of_a_path():
    name = os.fsdecode(b"a/b \xc3\xbc\xff")
    assert quote(name, safe=b"/") == "a/b%20%C3%BC%FF"
