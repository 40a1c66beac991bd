"""One HTTP exchange with a registry: connections, TLS, proxies, kept-alive sockets.

Blocking, meant for worker threads; a Transport is shared by all of them. It knows nothing of
retries, redirects or credentials.
"""

import http.client
import os
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import BinaryIO, Protocol

import msgspec

from boxship.__version__ import __version__
from boxship.registry.errors import StoppedError, UnreachableError
from boxship.registry.proxy import proxy_for
from boxship.registry.settings import Endpoint, RegistrySettings
from boxship.registry.stop import Stop

USER_AGENT = f"boxship/{__version__}"
BLOCK = 1 << 20
_MAX_IDLE = 8
_CONNECT_TIMEOUT = 15.0
_MAX_DOCUMENT = 16 << 20


class Body(msgspec.Struct, frozen=True):
    """A request body that can be sent again: `open` makes a fresh stream each time.

    `size` is None when it is only known at the end; the body is then sent in chunks.
    """

    open: Callable[[], BinaryIO]
    size: int | None


class Request(msgspec.Struct, frozen=True):
    """One request; `target` is the path with its query."""

    method: str
    endpoint: Endpoint
    target: str
    headers: Mapping[str, str] = {}
    body: Body | bytes | None = None

    @property
    def url(self) -> str:
        return f"{self.endpoint.scheme}://{self.endpoint.host}{self.target}"

    def describe(self) -> str:
        return f'{self.method} "{self.url}"'


class Response:
    """An answer whose body is still on the wire; close() it, or read it to its end."""

    def __init__(self, raw: http.client.HTTPResponse, release: Callable[[bool], None]) -> None:
        self._raw = raw
        self._release = release
        self._done = False
        self.status = raw.status
        self.reusable = not raw.will_close

    def header(self, name: str) -> str:
        return self._raw.headers.get(name, "")

    def headers(self, name: str) -> list[str]:
        """All values of a header that may come several times."""
        return self._raw.headers.get_all(name) or []

    @property
    def length(self) -> int | None:
        """Bytes of the body that are still to come, if the registry said so."""
        return self._raw.length

    def readinto(self, buffer: memoryview) -> int:
        """Read into the buffer; 0 at the end of the body, whole or not.

        Raises:
            UnreachableError: the connection broke.
        """
        try:
            return self._raw.readinto(buffer)
        except (OSError, http.client.HTTPException) as error:
            self._finish(reusable=False)
            raise _lost(error) from error

    def read(self, limit: int = _MAX_DOCUMENT) -> bytes:
        """Read the whole body, a document, and let go of the connection.

        Raises:
            UnreachableError: the connection broke, or the document is larger than `limit` bytes.
        """
        try:
            data = self._raw.read(limit + 1)
        except (OSError, http.client.HTTPException) as error:
            self._finish(reusable=False)
            raise _lost(error) from error
        if len(data) > limit:
            self._finish(reusable=False)
            raise UnreachableError(f"the registry's answer is larger than {limit} bytes")
        self.close()
        return data

    def close(self) -> None:
        if self._raw.length == 0:
            # An empty body (HEAD, 204) is read when its head is; http.client wants to be told.
            self._raw.read()
        self._finish(reusable=self.reusable and self._raw.isclosed())

    def _finish(self, *, reusable: bool) -> None:
        if not self._done:
            self._done = True
            if not reusable:
                # The answer alone has the socket when it is the last one: a body without end would
                # go on coming.
                self._raw.close()
            self._release(reusable)


class Exchanger(Protocol):
    """What the layers above need of a transport."""

    def exchange(self, request: Request, stop: Stop | None = None) -> Response: ...


class Transport:
    """Connections to registries, kept alive between requests."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._idle: dict[Endpoint, list[http.client.HTTPConnection]] = {}
        self._contexts: dict[tuple[str, bool], ssl.SSLContext] = {}

    def exchange(self, request: Request, stop: Stop | None = None) -> Response:
        """Send one request and return the answer's head; a stop cuts the connection.

        Raises:
            UnreachableError: no conversation took place; the message names the host.
        """
        connection = self._take(request.endpoint)
        if connection is not None:
            try:
                return self._send(connection, request, stop)
            except TimeoutError as error:
                connection.close()
                raise _unreachable(request.endpoint, error) from error
            except (OSError, http.client.HTTPException):
                # The peer closed a kept-alive connection: that says nothing about the request.
                connection.close()
                if stop is not None and stop.is_set():
                    raise StoppedError from None
        connection = self._open(request.endpoint)
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _unreachable(request.endpoint, error, passing=False) from error
        try:
            connection.sock.settimeout(self._settings.timeout)
            return self._send(connection, request, stop)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _unreachable(request.endpoint, error) from error

    def close(self) -> None:
        with self._lock:
            connections = [one for many in self._idle.values() for one in many]
            self._idle.clear()
        for connection in connections:
            connection.close()

    def _send(
        self, connection: http.client.HTTPConnection, request: Request, stop: Stop | None
    ) -> Response:
        # http.client lets go of the socket when the answer is the last one on it.
        wire = connection.sock
        if stop is not None:
            stop.watch(wire)

        def forget() -> None:
            if stop is not None:
                stop.forget(wire)

        try:
            return self._converse(connection, request, forget)
        except BaseException:
            forget()
            raise

    def _converse(
        self,
        connection: http.client.HTTPConnection,
        request: Request,
        done: Callable[[], None],
    ) -> Response:
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **request.headers}
        target = request.target
        proxy = _plain_proxy(request.endpoint)
        if proxy is not None:
            target = request.url
            headers.update(proxy)
        try:
            _transmit(connection, request, target, headers)
        except (BrokenPipeError, ConnectionResetError):
            # A registry that refuses an upload answers and closes before it has read the body.
            if request.body is None:
                raise
        raw = connection.getresponse()
        endpoint = request.endpoint

        def release(reusable: bool) -> None:
            done()
            self._give_back(endpoint, connection, reusable=reusable)

        return Response(raw, release)

    def _take(self, endpoint: Endpoint) -> http.client.HTTPConnection | None:
        with self._lock:
            idle = self._idle.get(endpoint)
            return idle.pop() if idle else None

    def _give_back(
        self, endpoint: Endpoint, connection: http.client.HTTPConnection, *, reusable: bool
    ) -> None:
        if reusable:
            with self._lock:
                idle = self._idle.setdefault(endpoint, [])
                if len(idle) < _MAX_IDLE:
                    idle.append(connection)
                    return
        connection.close()

    def _open(self, endpoint: Endpoint) -> http.client.HTTPConnection:
        proxy = proxy_for(endpoint.scheme, endpoint.host, os.environ)
        address = endpoint.host if proxy is None else f"{proxy.host}:{proxy.port}"
        timeout = min(_CONNECT_TIMEOUT, self._settings.timeout)
        if endpoint.scheme == "http":
            return http.client.HTTPConnection(address, timeout=timeout, blocksize=BLOCK)
        connection = http.client.HTTPSConnection(
            address, timeout=timeout, blocksize=BLOCK, context=self._context(endpoint)
        )
        if proxy is not None:
            connection.set_tunnel(endpoint.host, headers=proxy.headers())
        return connection

    def _context(self, endpoint: Endpoint) -> ssl.SSLContext:
        key = (endpoint.host, endpoint.verify)
        with self._lock:
            context = self._contexts.get(key)
            if context is None:
                context = self._contexts[key] = _make_context(self._settings, endpoint)
        return context


def _transmit(
    connection: http.client.HTTPConnection,
    request: Request,
    target: str,
    headers: dict[str, str],
) -> None:
    body = request.body
    if body is None or isinstance(body, bytes):
        connection.request(request.method, target, body, headers)
        return
    chunked = body.size is None
    headers["Transfer-Encoding" if chunked else "Content-Length"] = (
        "chunked" if chunked else str(body.size)
    )
    with body.open() as stream:
        connection.request(request.method, target, stream, headers, encode_chunked=chunked)


def _plain_proxy(endpoint: Endpoint) -> dict[str, str] | None:
    if endpoint.scheme != "http":
        return None
    proxy = proxy_for("http", endpoint.host, os.environ)
    return None if proxy is None else proxy.headers()


def _make_context(settings: RegistrySettings, endpoint: Endpoint) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not endpoint.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for base in settings.certs_dirs:
        folder = base / endpoint.host
        try:
            for authority in sorted(folder.glob("*.crt")):
                context.load_verify_locations(authority)
            for certificate in sorted(folder.glob("*.cert")):
                context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        except (OSError, ssl.SSLError) as error:
            raise UnreachableError(
                f"cannot use the certificates for registry {endpoint.host} in {folder}: {error}"
            ) from error
    return context


def _unreachable(endpoint: Endpoint, error: Exception, *, passing: bool = True) -> UnreachableError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return UnreachableError(
            f"registry {endpoint.host}: certificate not trusted: {error.verify_message}",
            hint=f"put its authority into /etc/boxship/certs.d/{endpoint.host}/ca.crt"
            " or list the host as an insecure registry",
        )
    if isinstance(error, ssl.SSLError) and error.reason in (
        "WRONG_VERSION_NUMBER",
        "RECORD_LAYER_FAILURE",
        "HTTP_REQUEST",
    ):
        return UnreachableError(
            f"registry {endpoint.host}: server gave HTTP response to HTTPS client",
            hint="list the host as an insecure registry to speak plain HTTP to it",
        )
    return UnreachableError(
        f"registry {endpoint.host} does not answer: {_reason(error)}",
        hint="check the host name, the network and that the registry runs",
        passing=passing,
    )


def _lost(error: Exception) -> UnreachableError:
    return UnreachableError(f"connection lost: {_reason(error)}", passing=True)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer ended early"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
