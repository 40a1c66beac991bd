"""How far a transfer is, in the words that Docker's clients print."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from boxship.model.digest import Digest, hex_of

_INTERVAL = 0.1


class Progress(msgspec.Struct, frozen=True):
    """One record of progress.

    Attributes:
        status: `Pulling fs layer`, `Downloading`, ... or a whole line such as `Digest: ...`.
        id: short digest of the layer, or the tag; empty for a line that is about all.
        current: bytes done, for transfers.
        total: bytes in all; 0 when unknown.
        stream: a finished line of text instead of a status, for load.
        aux: result of a push: `Tag`, `Digest`, `Size`.
    """

    status: str = ""
    id: str = ""
    current: int = 0
    total: int = 0
    stream: str = ""
    aux: dict[str, str | int] | None = None


Report = Callable[[Progress], None]


def short(digest: Digest) -> str:
    """The first twelve digits: how Docker shows layers and images."""
    return hex_of(digest)[:12]


def ignore(_: Progress) -> None:
    """A report nobody reads."""


class Reporter:
    """Brings records from worker threads to a callback on the event loop, in order.

    Transfers report at most ten times a second each, so a fast one does not flood the client.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._home = threading.get_ident()

    def emit(self, record: Progress) -> None:
        if threading.get_ident() == self._home:
            self._report(record)
            return
        # The loop may be closed when a worker of a stopped transfer speaks its last words.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._report, record)

    def say(self, status: str, ident: str = "") -> None:
        self.emit(Progress(status, ident))

    def meter(self, status: str, ident: str, total: int) -> "Meter":
        return Meter(self, status, ident, total)


class Meter:
    """The progress of one transfer."""

    def __init__(self, reporter: Reporter, status: str, ident: str, total: int) -> None:
        self._reporter = reporter
        self._status = status
        self._ident = ident
        self._total = total
        self._next = 0.0

    def update(self, current: int) -> None:
        now = time.monotonic()
        if now >= self._next or current == self._total:
            self._next = now + _INTERVAL
            self._reporter.emit(Progress(self._status, self._ident, current, self._total))
