"""The engine for Python programs: `boxship.connect()`."""

import os
from collections.abc import Iterator
from functools import cached_property

import msgspec

from boxship.client.calls import Calls, Filters, encode_filters, lines
from boxship.client.connection import Tls
from boxship.client.containers import Containers
from boxship.client.images import Images
from boxship.client.networks import Networks
from boxship.client.volumes import Volumes
from boxship.paths import default_socket
from boxship.wire.system import Event, Info, Version


class Client:
    """An engine: its containers, images, networks and volumes.

    Answers are values of `boxship.wire`, which have Docker's fields; failures are those of
    `boxship.errors`. Threads may share a client.
    """

    def __init__(self, address: str, tls: Tls | None = None) -> None:
        self.address = address
        self._calls = Calls(address, tls)

    @cached_property
    def containers(self) -> Containers:
        return Containers(self._calls)

    @cached_property
    def images(self) -> Images:
        return Images(self._calls)

    @cached_property
    def networks(self) -> Networks:
        return Networks(self._calls)

    @cached_property
    def volumes(self) -> Volumes:
        return Volumes(self._calls)

    def version(self) -> Version:
        return self._calls.ask(Version, "GET", "/version")

    def info(self) -> Info:
        return self._calls.ask(Info, "GET", "/info")

    def events(
        self, *, since: float = 0, until: float = 0, filters: Filters | None = None
    ) -> Iterator[Event]:
        """What happens, as it happens.

        Args:
            since: begin with what happened then, in seconds since the epoch; 0 for now.
            until: end then; 0 for never.
            filters: only events that these let through.
        """
        query = {
            "since": since or None,
            "until": until or None,
            "filters": encode_filters(filters),
        }
        for line in lines(self._calls.stream("GET", "/events", query)):
            yield msgspec.json.decode(line, type=Event)


def connect(address: str = "", *, tls: Tls | None = None) -> Client:
    """A client for the engine at an address, and a check that it answers.

    Args:
        address: `unix:///path` or `tcp://host:port`; by default what `BOXSHIP_HOST` or
            `DOCKER_HOST` says, else the local engine's socket.
        tls: certificates for a `tcp` address.

    Raises:
        NoEngineError: nothing answers there.
    """
    environment = os.environ
    named = address or environment.get("BOXSHIP_HOST") or environment.get("DOCKER_HOST")
    client = Client(named or f"unix://{default_socket()}", tls)
    client.version()
    return client
