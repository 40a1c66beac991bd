"""The connection protocol: requests in a row, uploads, streams, hijacks, and clients that leave."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from boxship.api.connection import Connection
from boxship.api.request import Peer, Request, Response
from boxship.errors import ConflictError, NotModifiedError
from tests.fakes.transports import FakeTransport

Handler = Callable[[Request], Awaitable[Response | None]]
GET = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: tcp\r\n"


def open_connection(handler: Handler) -> tuple[Connection, FakeTransport]:
    connection = Connection(handler, lambda _: Peer(1, 0, 0))
    transport = FakeTransport(connection)
    connection.connection_made(transport)
    return connection, transport


async def echo_path(request: Request) -> Response:
    return Response(200, request.path.encode(), "text/plain")


async def test_a_request_is_answered_with_the_headers_clients_read() -> None:
    connection, transport = open_connection(echo_path)
    connection.data_received(GET % b"/v1.41/info")
    head, _, body = (await transport.until(b"/info")).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert b"Api-Version: 1.51" in lines
    assert b"Ostype: linux" in lines
    assert b"Docker-Experimental: false" in lines
    assert b"Content-Length: 5" in lines
    assert body == b"/info"


async def test_pipelined_requests_are_answered_in_order() -> None:
    gate = asyncio.Event()

    async def handler(request: Request) -> Response:
        if request.path == "/first":
            await gate.wait()
        return await echo_path(request)

    connection, transport = open_connection(handler)
    connection.data_received(GET % b"/first" + GET % b"/second")
    assert not transport.reading, "no more is taken in than one request ahead"
    gate.set()
    written = await transport.until(b"/second")
    assert written.index(b"/first") < written.index(b"/second")
    assert transport.reading


async def test_an_error_becomes_its_status_and_a_plain_json_body() -> None:
    async def handler(request: Request) -> Response:
        raise ConflictError("name is taken", hint="use another")

    connection, transport = open_connection(handler)
    connection.data_received(GET % b"/x")
    written = await transport.until(b"}")
    assert written.startswith(b"HTTP/1.1 409 Conflict\r\n")
    assert b"Content-Type: application/json\r\n" in written
    assert written.endswith(b'{"message":"name is taken (use another)"}')


async def test_not_modified_has_no_body() -> None:
    async def handler(request: Request) -> Response:
        raise NotModifiedError("already started")

    connection, transport = open_connection(handler)
    connection.data_received(GET % b"/x" + GET % b"/y")
    written = await transport.until(b"304 Not Modified\r\n")
    assert b"already" not in written
    assert b"Content-Length" not in written


async def test_an_unforeseen_failure_shows_no_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def handler(request: Request) -> Response:
        raise ZeroDivisionError("boom")

    connection, transport = open_connection(handler)
    connection.data_received(GET % b"/x")
    written = await transport.until(b"}")
    assert b"500 Internal Server Error" in written
    assert b"Traceback" not in written
    assert "Traceback" in capsys.readouterr().err


async def test_what_is_no_http_is_refused() -> None:
    connection, transport = open_connection(echo_path)
    connection.data_received(b"NO HTTP AT ALL\r\n\r\n")
    assert (await transport.until_closed()).startswith(b"HTTP/1.1 4")


async def test_the_rest_of_a_refused_upload_is_read_so_that_its_client_learns_why() -> None:
    async def handler(request: Request) -> Response:
        if request.path == "/load":
            raise ConflictError("no")
        return await echo_path(request)

    connection, transport = open_connection(handler)
    connection.data_received(b"POST /load HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n1234")
    await transport.until(b'{"message":"no"}')
    assert not transport.is_closing()
    connection.data_received(b"5678" + GET % b"/next")
    assert (await transport.until(b"/next")).count(b"HTTP/1.1") == 2
    connection.connection_lost(None)


async def test_an_upload_arrives_in_pieces_and_is_asked_for() -> None:
    async def handler(request: Request) -> Response:
        return Response(200, await request.read(), "text/plain")

    connection, transport = open_connection(handler)
    connection.data_received(
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    )
    await transport.until(b"HTTP/1.1 100")
    connection.data_received(b"3\r\nabc\r\n")
    connection.data_received(b"2\r\nde\r\n0\r\n\r\n")
    assert (await transport.until(b"abcde")).endswith(b"\r\n\r\nabcde")


async def test_an_upload_is_taken_no_faster_than_it_is_read() -> None:
    gate = asyncio.Event()

    async def handler(request: Request) -> Response:
        await gate.wait()
        return Response(200, str(len(await request.read(8 << 20))).encode(), "text/plain")

    connection, transport = open_connection(handler)
    size = (1 << 20) + 10
    connection.data_received(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
    connection.data_received(b"x" * ((1 << 20) + 1))
    assert not transport.reading
    gate.set()
    await transport.until_reading()
    connection.data_received(b"x" * 9)
    await transport.until(str(size).encode())


async def test_a_stream_sends_its_head_first_and_each_piece_at_once() -> None:
    gate = asyncio.Event()

    async def handler(request: Request) -> None:
        stream = await request.stream()
        await gate.wait()
        await stream.write(b'{"n":1}\n')
        await stream.write(b"")

    connection, transport = open_connection(handler)
    connection.data_received(GET % b"/events")
    head = await transport.until(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert b"{" not in head
    gate.set()
    assert (await transport.until(b"0\r\n\r\n")).endswith(b'\r\n\r\n8\r\n{"n":1}\n\r\n0\r\n\r\n')


async def test_a_stream_ends_when_its_client_leaves() -> None:
    ended = asyncio.Event()

    async def handler(request: Request) -> None:
        await request.stream()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    connection, transport = open_connection(handler)
    connection.data_received(GET % b"/events")
    await transport.until(b"\r\n\r\n")
    assert connection.eof_received() is False
    connection.connection_lost(None)
    async with asyncio.timeout(5):
        await ended.wait()


async def test_a_change_goes_on_when_its_client_leaves() -> None:
    gate, done = asyncio.Event(), asyncio.Event()

    async def handler(request: Request) -> Response:
        await gate.wait()
        done.set()
        return Response()

    connection, _ = open_connection(handler)
    connection.data_received(b"POST /stop HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    await asyncio.sleep(0)
    connection.connection_lost(None)
    gate.set()
    async with asyncio.timeout(5):
        await done.wait()


async def shout(request: Request) -> None:
    """Give back what comes in, in capitals; then say that the input ended."""
    duplex = await request.hijack("application/vnd.docker.raw-stream")
    while data := await duplex.read():
        await duplex.write(data.upper())
    await duplex.write(b"<end>")
    duplex.close()


async def test_a_hijack_answers_101_and_outlives_the_end_of_input() -> None:
    connection, transport = open_connection(shout)
    connection.data_received(
        b"POST /attach HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" + UPGRADE + b"\r\n"
    )
    head = await transport.until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 UPGRADED\r\n")
    assert b"Content-Type: application/vnd.docker.raw-stream\r\n" in head
    assert b"Connection: Upgrade\r\nUpgrade: tcp\r\n" in head
    connection.data_received(b"abc")
    await transport.until(b"ABC")
    assert connection.eof_received() is True
    assert (await transport.until_closed()).endswith(b"ABC<end>")


async def test_a_hijack_without_upgrade_answers_200() -> None:
    connection, transport = open_connection(shout)
    connection.data_received(b"POST /attach HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    head = await transport.until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Upgrade" not in head
    connection.eof_received()
    await transport.until_closed()


async def test_input_and_its_end_sent_before_the_101_are_not_lost() -> None:
    connection, transport = open_connection(shout)
    connection.data_received(
        b"POST /attach HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" + UPGRADE + b"\r\nearly"
    )
    assert connection.eof_received() is True
    assert (await transport.until_closed()).endswith(b"\r\n\r\nEARLY<end>")


async def test_a_refused_upgrade_leaves_the_connection_usable() -> None:
    async def handler(request: Request) -> Response:
        if request.path == "/attach":
            raise ConflictError("paused")
        return await echo_path(request)

    connection, transport = open_connection(handler)
    connection.data_received(
        b"POST /attach HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" + UPGRADE + b"\r\n"
    )
    await transport.until(b"paused")
    connection.data_received(GET % b"/after")
    await transport.until(b"/after")


async def test_head_has_the_length_and_no_body() -> None:
    connection, transport = open_connection(echo_path)
    connection.data_received(b"HEAD /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await transport.until(b"\r\n\r\n")).endswith(b"Content-Length: 6\r\n\r\n")
