"""What every command is handed: where the engine is, and where output goes."""

import os
import sys

from boxship.cli.visible import visible
from boxship.client.connection import Connection, NoEngineError, Tls
from boxship.paths import default_socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from boxship.client.connection import Query, Response

API_VERSION = "1.51"


class App:
    """The running command line.

    Attributes:
        address: where the engine listens.
        debug: whether `--debug` was given.
        prefix: what every path begins with; `DOCKER_API_VERSION` chooses another version.
    """

    def __init__(self, address: str = "", tls: "Tls | None" = None, *, debug: bool = False) -> None:
        environment = os.environ
        self._explicit = bool(
            address or environment.get("BOXSHIP_HOST") or environment.get("DOCKER_HOST")
        )
        self.address = (
            address
            or environment.get("BOXSHIP_HOST")
            or environment.get("DOCKER_HOST")
            or f"unix://{default_socket()}"
        )
        self._tls = tls
        self.debug = debug
        self.prefix = f"/v{environment.get('DOCKER_API_VERSION') or API_VERSION}"
        self._connection: Connection | None = None

    def connect(self) -> Connection:
        """A connection of its own, for streams. Starts the engine when none answers.

        Only the default address is started on demand: an address somebody named is theirs to serve.

        Raises:
            NoEngineError: nothing answers there.
        """
        try:
            return Connection(self.address, self._tls)
        except NoEngineError:
            if self._explicit:
                raise
            from boxship.cli.autostart import start_daemon  # noqa: PLC0415 - only when needed

            start_daemon(self.address)
            return Connection(self.address, self._tls)

    def request(
        self,
        method: str,
        path: str,
        query: "Query | None" = None,
        body: "Any" = None,
        headers: "Mapping[str, str] | None" = None,
    ) -> "Response":
        """A request on the shared connection; its answer must be read before the next one."""
        if self._connection is None:
            self._connection = self.connect()
        return self._connection.request(method, self.prefix + path, query, body, headers)

    def call(
        self, method: str, path: str, query: "Query | None" = None, body: "Any" = None
    ) -> "Any":
        """A request whose answer is one document (None when it has no body)."""
        return self.request(method, path, query, body).document()

    def out(self, text: str) -> None:
        """A line of output."""
        self.write(text + "\n")

    def write(self, text: str) -> None:
        """Output that brings its own line ends."""
        sys.stdout.write(visible(text) if sys.stdout.isatty() else text)

    def err(self, text: str) -> None:
        """A line for the user that is not output."""
        sys.stdout.flush()
        sys.stderr.write((visible(text) if sys.stderr.isatty() else text) + "\n")
        sys.stderr.flush()
