"""HTTP/1.1 to the engine over one socket: enough of it, and nothing more to import.

`http.client` costs 22 ms of a command's start and `socket` 9 ms; the C socket type beneath does
all that is needed for a unix socket or plain TCP. TLS imports the standard `ssl`.
"""

import _socket
import os

from boxship.client.documents import dumps, loads
from boxship.errors import (
    BoxshipError,
    ConflictError,
    ForbiddenError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
    UnsupportedError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    Query = Mapping[str, "str | int | bool | list[str] | None"]
    Body = "bytes | Iterable[bytes] | None"

DEFAULT_TCP_PORT = 2375
_RECEIVE = 1 << 16
_ALWAYS_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")
_KINDS: "dict[int, type[BoxshipError]]" = {
    400: InvalidArgumentError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    501: UnsupportedError,
    503: UnavailableError,
}


class NoEngineError(UnavailableError):
    """Nothing answers at the address."""


class Tls:
    """Files for a TLS connection; `verify` checks the engine's certificate against `ca`."""

    __slots__ = ("ca", "certificate", "key", "verify")

    def __init__(self, ca: str = "", certificate: str = "", key: str = "", *, verify: bool) -> None:
        self.ca = ca
        self.certificate = certificate
        self.key = key
        self.verify = verify


class Response:
    """An answer: status and headers now, the body as it is read.

    Attributes:
        status: HTTP status code.
        headers: values by lower-case name.
    """

    __slots__ = ("_chunked", "_connection", "_left", "headers", "status")

    def __init__(
        self, connection: "Connection", status: int, headers: "dict[str, str]", *, empty: bool
    ) -> None:
        self._connection = connection
        self.status = status
        self.headers = headers
        self._chunked = "chunked" in headers.get("transfer-encoding", "")
        # Bytes of the body still to come; None when only the end of the connection tells.
        length = headers.get("content-length")
        self._left: int | None = int(length) if length is not None else None
        if empty:
            self._chunked, self._left = False, 0

    def chunks(self) -> "Iterator[bytes]":
        """The body in pieces, as they arrive."""
        if self._chunked:
            yield from self._chunked_body()
            return
        while self._left != 0:
            data = self._connection.receive(self._left)
            if not data:
                if self._left is not None:
                    raise UnavailableError("the engine closed the connection within its answer")
                return
            if self._left is not None:
                self._left -= len(data)
            yield data

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks())

    def document(self) -> "Any":
        """The whole body as JSON; None when it is empty."""
        data = self.read()
        return loads(data) if data else None

    def documents(self) -> "Iterator[Any]":
        """The body as a stream of JSON documents, one a line."""
        rest = b""
        for data in self.chunks():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line.strip():
                    yield loads(line)
        if rest.strip():
            yield loads(rest)

    def _chunked_body(self) -> "Iterator[bytes]":
        connection = self._connection
        while True:
            size = int(connection.line().partition(b";")[0] or b"0", 16)
            if size == 0:
                while connection.line():
                    continue
                return
            left = size
            while left:
                data = connection.receive(left)
                if not data:
                    raise UnavailableError("the engine closed the connection within its answer")
                left -= len(data)
                yield data
            connection.line()


class Connection:
    """One connection; requests on it go one after another."""

    def __init__(self, address: str, tls: "Tls | None" = None) -> None:
        self._address = address
        self._buffer = b""
        self._socket = _open(address, tls)
        self._host = address.partition("://")[2] if address.startswith("tcp") else "localhost"

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def request(
        self,
        method: str,
        path: str,
        query: "Query | None" = None,
        body: "Any" = None,
        headers: "Mapping[str, str] | None" = None,
    ) -> Response:
        """Send a request and read the head of its answer.

        Args:
            method: HTTP method.
            path: path with its version prefix, decoded.
            query: parameters; None values are left out, booleans become 1 and 0.
            body: bytes or an iterable of bytes are sent as they are, anything else as JSON.
            headers: further headers.

        Raises:
            BoxshipError: the engine answered with an error; the kind follows the status.
            UnavailableError: the connection broke.
        """
        lines = [f"{method} {_target(path, query)} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        stream: Iterable[bytes] = ()
        data = b""
        if body is None:
            if method != "GET":
                lines.append("Content-Length: 0")
        elif isinstance(body, bytes):
            data = body
            lines.append(f"Content-Length: {len(data)}")
        elif isinstance(body, (dict, list)):
            data = dumps(body)
            lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        else:
            stream = body
            lines.append("Transfer-Encoding: chunked")
        self._send("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        if stream != ():
            self._send_chunks(stream)
        return self._response(method)

    def line(self) -> bytes:
        """The next line, without its end."""
        while b"\n" not in self._buffer:
            data = self._receive()
            if not data:
                raise UnavailableError(f"the engine at {self._address} closed the connection")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def receive(self, limit: "int | None" = None) -> bytes:
        """Some bytes, at most `limit`; empty at the end of the connection."""
        data = self._buffer or self._receive()
        self._buffer = b""
        if limit is not None and len(data) > limit:
            data, self._buffer = data[:limit], data[limit:]
        return data

    def buffered(self) -> bool:
        """Whether bytes have arrived that nobody read yet."""
        return bool(self._buffer)

    def send(self, data: bytes) -> None:
        """Raw bytes, after a hijack."""
        self._send(data)

    def close_write(self) -> None:
        """Half-close: no more input, but the output is still wanted."""
        try:
            self._socket.shutdown(_socket.SHUT_WR)
        except OSError:
            return

    def _response(self, method: str) -> Response:
        while True:
            parts = self.line().split(b" ", 2)
            if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
                raise UnavailableError(f"what answers at {self._address} speaks no HTTP")
            status = int(parts[1])
            headers: dict[str, str] = {}
            while line := self.line():
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.strip().lower()] = value.strip()
            if status != 100:
                break
        empty = method == "HEAD" or status in (101, 204, 304)
        response = Response(self, status, headers, empty=empty)
        if status >= 400:
            raise _error(response)
        return response

    def _send_chunks(self, stream: "Iterable[bytes]") -> None:
        try:
            for chunk in stream:
                if chunk:
                    self._socket.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self._socket.sendall(b"0\r\n\r\n")
        except OSError:
            # The engine may refuse an upload before it has read it all: its answer says why.
            return

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise UnavailableError(
                f"the engine at {self._address} closed the connection: {error}"
            ) from error

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(_RECEIVE)
        except ConnectionResetError:
            return b""


def _error(response: Response) -> BoxshipError:
    data = response.read()
    try:
        message = loads(data)["message"]
    except (UnavailableError, KeyError, TypeError):
        message = data.decode("utf-8", "replace").strip() or f"HTTP status {response.status}"
    return _KINDS.get(response.status, InternalError)(message)


def _open(address: str, tls: "Tls | None") -> "_socket.socket | socket.socket":
    scheme, _, rest = address.partition("://")
    try:
        if scheme == "unix":
            return _open_unix(rest)
        if scheme in ("tcp", "http", "https"):
            return _open_tcp(rest.rstrip("/"), tls)
    except OSError as error:
        raise NoEngineError(
            f"Cannot connect to the engine at {address}. Is it running? ({error.strerror or error})"
        ) from error
    raise InvalidArgumentError(
        f"cannot connect to {address!r}", hint="use unix:///path or tcp://host:port"
    )


def _open_unix(path: str) -> "_socket.socket":
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def _open_tcp(rest: str, tls: "Tls | None") -> "socket.socket":
    import socket  # noqa: PLC0415 - most commands speak to a unix socket

    host, _, port = rest.rpartition(":")
    if not host:
        host, port = rest, str(DEFAULT_TCP_PORT)
    if not port.isdigit():
        raise InvalidArgumentError(f"cannot connect to tcp://{rest}: {port!r} is no port")
    sock = socket.create_connection((host.strip("[]"), int(port)))
    if tls is None:
        return sock
    import ssl  # noqa: PLC0415 - most commands speak to a unix socket

    context = ssl.create_default_context(cafile=tls.ca or None)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.certificate:
        context.load_cert_chain(tls.certificate, tls.key)
    return context.wrap_socket(sock, server_hostname=host.strip("[]"))


def _target(path: str, query: "Query | None") -> str:
    pairs = []
    for name, value in (query or {}).items():
        for item in value if isinstance(value, list) else (value,):
            if item is None:
                continue
            text = str(int(item)) if isinstance(item, bool) else str(item)
            pairs.append(f"{name}={quote(text)}")
    target = quote(path, safe=b"/:@")
    return f"{target}?{'&'.join(pairs)}" if pairs else target


def quote(text: str, safe: bytes = b"") -> str:
    """Percent-encode; `urllib.parse` would import `re`."""
    data = os.fsencode(text)
    return "".join(
        chr(byte) if byte in _ALWAYS_SAFE or byte in safe else f"%{byte:02X}" for byte in data
    )
