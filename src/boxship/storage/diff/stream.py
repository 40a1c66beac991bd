"""A tar stream on its way out: digested, compressed, digested again, all in one pass.

Compression runs in a thread beside the reading of files: neither needs the interpreter for long,
so a large layer keeps two cores busy. Small layers never start the thread.
"""

import hashlib
import queue
import threading
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from boxship.model.digest import Digest
from boxship.storage.diff.codec import Compression, encoder
from boxship.storage.diff.writer import END_OF_ARCHIVE

_CHUNK = 1 << 20
_QUEUED = 4


class Sink(Protocol):
    """Where a stream goes: a file, a pipe, an `Ingest`."""

    def write(self, data: bytes, /) -> object: ...


class Packed(NamedTuple):
    """What was written.

    Attributes:
        diff_id: digest of the tar stream.
        digest: digest of what went to the sink.
        size: bytes that went to the sink.
        entries: how many entries; 1 is a layer that changes nothing but perhaps its root.
    """

    diff_id: Digest
    digest: Digest
    size: int
    entries: int


class TarStream:
    """Takes blocks of tar; leaving the `with` block ends the thread, finished or not."""

    def __init__(self, out: Sink, compression: Compression) -> None:
        self._out = _Output(out, compression)
        self._plain = hashlib.sha256()
        self._pending = bytearray()
        self._entries = 0
        self._thread: _Thread | None = None
        # Without compression there is nothing to do beside.
        self._threads = compression != "none"

    def begin(self, head: bytes) -> None:
        """Write the header of another entry."""
        self._entries += 1
        self.write(head)

    def write(self, data: bytes) -> None:
        self._pending += data
        if len(self._pending) >= _CHUNK:
            self._flush()

    def finish(self) -> Packed:
        """End the archive and wait until the sink has all of it."""
        self._pending += END_OF_ARCHIVE
        self._threads = False
        self._flush()
        if self._thread is not None:
            self._thread.finish()
        self._out.finish()
        return Packed(
            Digest("sha256:" + self._plain.hexdigest()),
            self._out.digest(),
            self._out.size,
            self._entries,
        )

    def _flush(self) -> None:
        data = bytes(self._pending)
        self._pending.clear()
        self._plain.update(data)
        if self._thread is None and self._threads:
            self._thread = _Thread(self._out)
        if self._thread is None:
            self._out.write(data)
        else:
            self._thread.put(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            self._thread.stop()


class _Output:
    def __init__(self, out: Sink, compression: Compression) -> None:
        self._out = out
        self._encoder = encoder(compression)
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._emit(self._encoder.compress(data))

    def finish(self) -> None:
        self._emit(self._encoder.flush())

    def digest(self) -> Digest:
        return Digest("sha256:" + self._hash.hexdigest())

    def _emit(self, data: bytes) -> None:
        if data:
            self._hash.update(data)
            self.size += len(data)
            self._out.write(data)


class _Thread:
    """Writes to an output what it is given, and reports a failure to the next caller."""

    def __init__(self, out: _Output) -> None:
        self._out = out
        self._queue: queue.Queue[bytes | None] = queue.Queue(_QUEUED)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="compress", daemon=True)
        self._thread.start()

    def put(self, data: bytes) -> None:
        self._queue.put(data)
        if self._failure is not None:
            raise self._failure

    def finish(self) -> None:
        self.stop()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (data := self._queue.get()) is not None:
            # After a failure the queue is still emptied, so that nobody waits for room in it.
            if self._failure is None:
                try:
                    self._out.write(data)
                except BaseException as failure:  # noqa: BLE001 - raised again by put or finish
                    self._failure = failure
