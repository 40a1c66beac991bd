"""Typed requests: one method sends one and reads its answer as a value of `boxship.wire`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from boxship.client.connection import Connection, Response, Tls
from boxship.errors import InternalError

Value = TypeVar("Value")
Filters = Mapping[str, Sequence[str]]

API_VERSION = "1.51"


class Calls:
    """Sends requests to one engine, each on a connection of its own, so threads may share it."""

    def __init__(self, address: str, tls: Tls | None = None) -> None:
        self.address = address
        self._tls = tls

    def stream(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[bytes]:
        """Send a request; the answer's body in pieces, as they come.

        Raises:
            BoxshipError: the engine refused; the kind follows the status.
            NoEngineError: nothing answers at the address.
        """
        if isinstance(body, msgspec.Struct):
            body = msgspec.to_builtins(body)
        connection = Connection(self.address, self._tls)
        try:
            response = connection.request(method, f"/v{API_VERSION}{path}", query, body, headers)
        except BaseException:
            connection.close()
            raise
        return _body(connection, response)

    def send(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None
    ) -> None:
        """A request whose answer says nothing."""
        for _ in self.stream(method, path, query, body):
            continue

    def ask(
        self,
        kind: type[Value],
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> Value:
        """A request whose answer is one document of this kind."""
        return decode(self.stream(method, path, query, body), kind)


def _body(connection: Connection, response: Response) -> Iterator[bytes]:
    try:
        yield from response.chunks()
    finally:
        connection.close()


def decode(pieces: Iterable[bytes], kind: type[Value]) -> Value:
    """One document of this kind."""
    return msgspec.json.decode(b"".join(pieces), type=kind)


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a stream of documents."""
    rest = b""
    for data in pieces:
        *whole, rest = (rest + data).split(b"\n")
        yield from (line for line in whole if line.strip())
    if rest.strip():
        yield rest


def encode_filters(filters: Filters | None) -> str | None:
    """Filters as the API takes them in a query."""
    if not filters:
        return None
    return msgspec.json.encode({name: list(values) for name, values in filters.items()}).decode()


def messages(pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Progress of a pull, a push, a load or a build, as it comes.

    Raises:
        InternalError: the work failed, as its last message says.
    """
    for line in lines(pieces):
        message = msgspec.json.decode(line, type=dict[str, Any])
        if message.get("error"):
            raise InternalError(str(message["error"]))
        yield message
