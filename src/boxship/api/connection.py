"""One client connection: HTTP/1.1 by h11 until somebody hijacks it.

A protocol class and not asyncio streams, because only a protocol learns at once that the client
went away while a handler waits (events, logs, wait), and because a hijacked attach must keep
sending after the client has half-closed.
"""

import asyncio
import fcntl
import socket
import termios
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from urllib.parse import unquote

import h11

from boxship import log
from boxship.__version__ import __version__
from boxship.api.errors import error_body, status_of, unexpected
from boxship.api.request import Duplex, Head, Peer, Request, Response, Stream
from boxship.api.versions import API_VERSION, split_version
from boxship.errors import BoxshipError

Handler = Callable[[Request], Awaitable[Response | None]]

_PAUSE_ABOVE = 1 << 20
# Build arguments and registry credentials travel in the head; Go's servers allow 1 MB too.
_LARGEST_HEAD = 1 << 20
# How long an upload that nobody wants any more is read on, so that the client comes to read why.
_LINGER = 30.0
_HEAD_TRIES, _HEAD_PAUSE = 200, 0.0005
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_STANDARD = [
    ("Api-Version", API_VERSION),
    ("Docker-Experimental", "false"),
    ("Ostype", "linux"),
    ("Server", f"Boxship/{__version__} (linux)"),
]


class Inbox:
    """Bytes from the client, waiting for a reader, with back-pressure on the socket."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._parts: list[bytes] = []
        self._size = 0
        self._ended = False
        self._paused = False
        self._changed = asyncio.Event()

    def feed(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > _PAUSE_ABOVE and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()

    async def get(self) -> bytes:
        """The next bytes; empty at the end."""
        while not self._parts:
            if self._ended:
                return b""
            self._changed.clear()
            await self._changed.wait()
        data = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
        return data


class Connection(asyncio.Protocol):
    """Serves the requests of one client, one after another."""

    def __init__(self, handler: Handler, peer_of: Callable[[asyncio.Transport], Peer]) -> None:
        self._handler = handler
        self._peer_of = peer_of
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST_HEAD)
        self._task: asyncio.Task[None] | None = None
        self._inbox: Inbox | None = None
        self._hijacked = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = False
        self._head_only = False
        self._stop_when_lost = True
        self._upgrading = False
        self._linger: asyncio.TimerHandle | None = None

    # asyncio.Protocol ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        self._peer = self._peer_of(transport)

    def data_received(self, data: bytes) -> None:
        if self._hijacked:
            if self._inbox is not None:
                self._inbox.feed(data)
            return
        self._http.receive_data(data)
        self._advance()

    def eof_received(self) -> bool:
        if self._hijacked and self._inbox is not None:
            # Half-close: the client has no more stdin but still wants the output.
            self._inbox.end()
            return True
        if self._upgrading and self._task is not None:
            # The same, by a client that did not wait for our 101.
            self._http.receive_data(b"")
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._writable.set()
        if self._inbox is not None:
            self._inbox.end()
        if self._linger is not None:
            self._linger.cancel()
        if self._task is not None and self._stop_when_lost:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # HTTP in ------------------------------------------------------------------------------------

    def _advance(self) -> None:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                self._refuse(error)
                return
            if event is h11.NEED_DATA or event is h11.PAUSED:
                if event is h11.PAUSED and not self._upgrading:
                    # A pipelined request waits for its turn; no more of them is kept meanwhile.
                    self._transport.pause_reading()
                return
            if isinstance(event, h11.ConnectionClosed):
                self._transport.close()
                return
            self._take(event)

    def _take(self, event: object) -> None:
        if isinstance(event, h11.Request):
            self._begin(event)
        elif isinstance(event, h11.Data) and self._inbox is not None:
            self._inbox.feed(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            if self._inbox is not None:
                self._inbox.end()
            elif self._http.our_state is h11.DONE:
                self._next()
            elif self._http.our_state is h11.MUST_CLOSE:
                self._transport.close()

    def _begin(self, event: h11.Request) -> None:
        target = event.target.decode("ascii", "replace")
        path, _, query = target.partition("?")
        version, path = split_version(unquote(path))
        headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
        self._inbox = Inbox(self._transport)
        self._head_only = event.method == b"HEAD"
        self._upgrading = "upgrade" in headers.get("connection", "").lower()
        head = Head(event.method.decode(), path, version, query, headers)
        request = Request(head, self, self._peer)
        # A mutation goes on when its client leaves; an answer that only flows to the client stops.
        self._stop_when_lost = event.method in (b"GET", b"HEAD")
        self._task = log.create_task(self._serve(request), f"{request.method} {path}")

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._send_whole(Response(error.error_status_hint, error_body(str(error))))
        self._transport.close()

    async def _serve(self, request: Request) -> None:
        try:
            response = await self._handler(request)
        except BoxshipError as error:
            response = Response(status_of(error), error_body(str(error)))
        except ConnectionResetError:
            # The client left: nobody is there to tell.
            self._transport.close()
            return
        except Exception as error:  # noqa: BLE001 - no traceback may reach a client
            failure = unexpected(f"{request.method} {request.path}", error)
            response = Response(status_of(failure), error_body(str(failure)))
        if self._lost or self._hijacked:
            return
        if response is not None and self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._send_whole(response)
        elif self._http.our_state is h11.SEND_BODY:
            self._write(self._http.send(h11.EndOfMessage()))
        self._finish()

    def _finish(self) -> None:
        """Make ready for the next request, or let the rest of an unread body run out."""
        self._task = None
        self._inbox = None
        ours, theirs = self._http.our_state, self._http.their_state
        if ours is h11.DONE and theirs is h11.DONE:
            self._next()
        elif theirs is not h11.SEND_BODY or ours not in (h11.DONE, h11.MUST_CLOSE):
            self._transport.close()
        else:
            # Closing now would reset the connection, and a client that still uploads would never
            # read our answer.
            self._linger = asyncio.get_running_loop().call_later(_LINGER, self._transport.close)
            self._transport.resume_reading()
            self._advance()

    def _next(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._http.start_next_cycle()
        self._transport.resume_reading()
        self._advance()

    # HTTP out -----------------------------------------------------------------------------------

    def _write(self, data: bytes | None) -> None:
        if data and not self._lost:
            self._transport.write(data)

    def _send_whole(self, response: Response) -> None:
        headers = [*_STANDARD, ("Date", _date()), *response.headers]
        if response.status not in (204, 304):
            if response.content_type:
                headers.append(("Content-Type", response.content_type))
            headers.append(("Content-Length", str(len(response.body))))
        out = self._http.send(_head(response.status, headers)) or b""
        if response.body and response.status not in (204, 304) and not self._head_only:
            out += self._http.send(h11.Data(data=response.body)) or b""
        out += self._http.send(h11.EndOfMessage()) or b""
        self._write(out)

    async def drain(self) -> None:
        """Wait until the client has taken enough of what was written.

        Raises:
            ConnectionResetError: the client is gone.
        """
        await self._writable.wait()
        if self._lost:
            raise ConnectionResetError("the client closed the connection")

    # boxship.api.request.Transport --------------------------------------------------------------

    async def read_body(self) -> AsyncIterator[bytes]:
        if self._http.they_are_waiting_for_100_continue:
            self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
        inbox = self._inbox
        while inbox is not None:
            data = await inbox.get()
            if not data:
                break
            yield data
        if self._lost:
            raise ConnectionResetError("the client closed the connection during its upload")

    async def start_stream(self, response: Response) -> Stream:
        self._stop_when_lost = True
        headers = [*_STANDARD, ("Date", _date()), *response.headers]
        headers.append(("Content-Type", response.content_type))
        headers.append(("Transfer-Encoding", "chunked"))
        self._write(self._http.send(_head(response.status, headers)))
        return _ChunkedStream(self, self._http, self._transport)

    async def hijack(self, head: str) -> Duplex:
        leftover, ended = self._http.trailing_data
        self._hijacked = self._stop_when_lost = True
        self._inbox = Inbox(self._transport)
        if leftover:
            self._inbox.feed(leftover)
        if ended:
            self._inbox.end()
        self._write(f"{head}\r\n".encode())
        return _Hijacked(self, self._inbox, self._transport)


def _head(status: int, headers: list[tuple[str, str]]) -> h11.Response:
    return h11.Response(status_code=status, headers=headers, reason=_REASONS.get(status, b""))


def _unread(descriptor: int) -> int:
    """Bytes in a unix socket that the other end has not read yet (SIOCOUTQ)."""
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)), "little")
    except OSError:
        return 0


def _date() -> str:
    """Now, as RFC 9110 section 5.6.7 writes it; the daemon runs in the C locale."""
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())


class _ChunkedStream:
    def __init__(
        self, connection: Connection, http: h11.Connection, transport: asyncio.Transport
    ) -> None:
        self._connection = connection
        self._http = http
        self._transport = transport

    async def write(self, data: bytes) -> None:
        if data:
            self._transport.write(self._http.send(h11.Data(data=data)) or b"")
        await self._connection.drain()


class _Hijacked:
    """Raw bytes after the head.

    The head's reader may be buffered while the rest is read from the socket itself (docker-py):
    what it read together with the head is lost. So the first bytes wait, for a moment, until the
    head has been taken out of the socket.
    """

    def __init__(self, connection: Connection, inbox: Inbox, transport: asyncio.Transport) -> None:
        self._connection = connection
        self._inbox = inbox
        self._transport = transport
        self._head_taken = False

    async def read(self) -> bytes:
        return await self._inbox.get()

    async def write(self, data: bytes) -> None:
        if not self._head_taken:
            self._head_taken = True
            await self._until_head_is_taken()
        self._transport.write(data)
        await self._connection.drain()

    async def _until_head_is_taken(self) -> None:
        sock = self._transport.get_extra_info("socket")
        if sock is None or sock.family != socket.AF_UNIX:
            return
        for _ in range(_HEAD_TRIES):
            if not _unread(sock.fileno()):
                return
            await asyncio.sleep(_HEAD_PAUSE)

    def close(self) -> None:
        self._transport.close()
