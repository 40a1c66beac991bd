"""One HTTP request as a handler sees it: its query, its body, and the ways to answer."""

from collections.abc import AsyncIterator
from typing import Protocol, TypeVar
from urllib.parse import parse_qs

import msgspec

from boxship.api.nulls import without_nulls
from boxship.api.versions import API_VERSION, Version
from boxship.errors import InvalidArgumentError

Document = TypeVar("Document")

# The largest JSON document a client may send. Docker's own daemon reads without a bound; a
# create request of a large Compose project is some tens of kilobytes.
MAX_DOCUMENT = 8 << 20

_FALSE = frozenset(("", "0", "no", "false", "none"))


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end of a unix socket (SO_PEERCRED); -1 where it is not known."""

    pid: int = -1
    uid: int = -1
    gid: int = -1


class Response(msgspec.Struct, frozen=True):
    """A whole answer.

    A body of None with status 204 or 304 sends none.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Stream(Protocol):
    """A chunked answer under way: each write reaches the client at once."""

    async def write(self, data: bytes) -> None:
        """Send one chunk; waits while the client is slower than we are."""


class Duplex(Protocol):
    """A hijacked connection: raw bytes both ways."""

    async def read(self) -> bytes:
        """The next bytes from the client; empty once it has shut its side down."""

    async def write(self, data: bytes) -> None:
        """Send bytes; waits while the client is slower than we are."""

    def close(self) -> None:
        """End the connection once everything written has left."""


class Transport(Protocol):
    """What a connection offers to the request that is being served on it."""

    def read_body(self) -> AsyncIterator[bytes]:
        """The request's body as it arrives."""

    async def start_stream(self, response: Response) -> Stream:
        """Send the head of a chunked answer now."""

    async def hijack(self, head: str) -> Duplex:
        """Leave HTTP: send this head (without its blank line) and hand over the raw connection."""


class Query:
    """The query string, with Docker's reading of booleans and of repeated keys."""

    def __init__(self, text: str) -> None:
        self._values = parse_qs(text, keep_blank_values=True)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        values = self._values.get(name)
        return values[0] if values else default

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(self._values.get(name, ()))

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Docker's rule: absent is the default; `0`, `no`, `false`, `none` and empty are false."""
        if name not in self._values:
            return default
        return self._values[name][0].strip().lower() not in _FALSE

    def integer(self, name: str, default: int = 0) -> int:
        """A whole number.

        Raises:
            InvalidArgumentError: the value is no number.
        """
        value = self.text(name)
        if value == "":
            return default
        try:
            return int(value)
        except ValueError as error:
            raise InvalidArgumentError(
                f"invalid value {value!r} for query parameter {name}: want a whole number"
            ) from error

    def optional_integer(self, name: str) -> int | None:
        return self.integer(name) if self.text(name) != "" else None

    def filters(self, name: str = "filters") -> dict[str, tuple[str, ...]]:
        """Filters in either of the forms clients send: `{"k": {"v": true}}` or `{"k": ["v"]}`.

        Raises:
            InvalidArgumentError: the value is neither.
        """
        text = self.text(name)
        if text == "":
            return {}
        try:
            data = msgspec.json.decode(text, type=dict[str, dict[str, bool] | list[str]])
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise InvalidArgumentError(f"invalid filter {text!r}: {error}") from error
        return {
            key: tuple(item for item in value if not isinstance(value, dict) or value[item])
            for key, value in data.items()
        }


class Head(msgspec.Struct, frozen=True):
    """A request's first lines.

    Attributes:
        method: upper case.
        path: decoded, without the version prefix.
        version: API version the client asked for.
        query: undecoded text after the question mark.
        headers: lower-case names.
    """

    method: str
    path: str
    version: Version
    query: str
    headers: dict[str, str]


class Request:
    """A request being served.

    Attributes:
        params: what the route's pattern captured.
        peer: who asks.
        The others are those of `Head`.
    """

    def __init__(self, head: Head, transport: Transport, peer: Peer) -> None:
        self.method = head.method
        self.path = head.path
        self.version = head.version
        self.query = Query(head.query)
        self.headers = head.headers
        self.params: dict[str, str] = {}
        self.peer = peer
        self._transport = transport

    @property
    def wants_upgrade(self) -> bool:
        return "upgrade" in self.headers.get("connection", "").lower()

    def body(self) -> AsyncIterator[bytes]:
        """The body as it arrives, for uploads."""
        return self._transport.read_body()

    async def read(self, limit: int = MAX_DOCUMENT) -> bytes:
        """The whole body.

        Raises:
            InvalidArgumentError: it is longer than `limit` bytes.
        """
        parts: list[bytes] = []
        size = 0
        async for part in self._transport.read_body():
            size += len(part)
            if size > limit:
                raise InvalidArgumentError(f"request body is over {limit} bytes")
            parts.append(part)
        return b"".join(parts)

    async def document(self, kind: type[Document]) -> Document:
        """The body as a JSON document; an empty body reads as `{}`.

        Raises:
            InvalidArgumentError: the body is not JSON of that shape; the message names the field.
        """
        data = await self.read()
        try:
            return msgspec.json.decode(data or b"{}", type=kind)
        except msgspec.ValidationError:
            return _tolerant(data, kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidArgumentError(f"invalid JSON in request body: {error}") from error

    async def stream(self, content_type: str = "application/json", *, status: int = 200) -> Stream:
        """Answer in chunks, each flushed; the head goes out now."""
        return await self._transport.start_stream(Response(status, b"", content_type))

    async def hijack(self, content_type: str) -> Duplex:
        """Take the connection over, as attach and exec do."""
        # Go clients compare the status line's code; the reason phrase is Docker's.
        status = "HTTP/1.1 200 OK\r\n"
        if self.wants_upgrade:
            status = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        head = f"{status}Content-Type: {content_type}\r\nApi-Version: {API_VERSION}\r\n"
        return await self._transport.hijack(head)

    async def switch(self, protocol: str, headers: str) -> Duplex:
        """Take the connection over for another protocol, with further header lines."""
        status = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: {protocol}\r\n"
        return await self._transport.hijack(f"{status}Connection: Upgrade\r\n{headers}")


def _tolerant(data: bytes, kind: type[Document]) -> Document:
    try:
        return msgspec.convert(without_nulls(data, kind), kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidArgumentError(f"invalid JSON in request body: {error}") from error


def json_response(value: object, status: int = 200) -> Response:
    return Response(status, msgspec.json.encode(value))


def no_content(status: int = 204) -> Response:
    return Response(status, b"", "")
