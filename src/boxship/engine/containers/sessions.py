"""Attached clients: duplex sessions over the keeper's sockets, before and after the start."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple

from boxship.engine.values import AttachRequest

_PIECE = 65536


class Streams(NamedTuple):
    """Which of a process's standard streams a session connects."""

    stdin: bool
    stdout: bool
    stderr: bool


def streams_of(request: AttachRequest) -> Streams:
    return Streams(request.stdin, request.stdout, request.stderr)


class Replay:
    """What was written before, taken from the log at the client's pace: never all of it at once."""

    def __init__(self, pieces: AsyncIterator[bytes] | None = None) -> None:
        self._pieces = pieces

    async def read(self) -> bytes:
        """The next piece; empty at the end."""
        if self._pieces is None:
            return b""
        piece = await anext(self._pieces, b"")
        if not piece:
            self._pieces = None
        return piece

    def close(self) -> None:
        """Give no more; the log is closed with its iterator."""
        self._pieces = None


class LiveSession:
    """A session over one end of a socket pair; the keeper holds the other."""

    def __init__(
        self, connection: socket.socket, *, tty: bool, replay: Replay | None = None
    ) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._tty = tty
        self._replay = replay or Replay()
        self._input_open = True
        self._users = 0
        self._closed = False

    @property
    def tty(self) -> bool:
        return self._tty

    async def read(self) -> bytes:
        if replayed := await self._replay.read():
            return replayed
        if self._closed:
            return b""
        self._users += 1
        try:
            return await asyncio.get_running_loop().sock_recv(self._connection, _PIECE)
        except OSError:
            return b""
        finally:
            self._leave()

    async def write(self, data: bytes) -> None:
        if not self._input_open or self._closed:
            return
        self._users += 1
        try:
            await asyncio.get_running_loop().sock_sendall(self._connection, data)
        except OSError:
            self._input_open = False
        finally:
            self._leave()

    async def close_input(self) -> None:
        if self._input_open and not self._closed:
            self._input_open = False
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._replay.close()
        # A descriptor that is closed while the loop polls it never wakes its waiter: shut it down,
        # and let the last one who waits close it.
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        if not self._users:
            self._connection.close()

    def _leave(self) -> None:
        self._users -= 1
        if self._closed and not self._users:
            self._connection.close()


class PendingSession:
    """A session with a container that does not run yet.

    `bind` gives it its socket when the container starts, `abandon` ends it without one. Input that
    arrives earlier is kept, up to the pace of a client that waits for each write.
    """

    def __init__(self, streams: Streams, *, tty: bool, replay: Replay) -> None:
        self.streams = streams
        self._tty = tty
        self._replay = replay
        self._live: LiveSession | None = None
        self._settled = asyncio.Event()
        self._closed = False

    @property
    def tty(self) -> bool:
        return self._tty

    @property
    def closed(self) -> bool:
        return self._closed

    def bind(self, connection: socket.socket) -> None:
        self._live = LiveSession(connection, tty=self._tty)
        if self._closed:
            self._live.close()
        self._settled.set()

    def abandon(self) -> None:
        self._settled.set()

    async def read(self) -> bytes:
        if replayed := await self._replay.read():
            return replayed
        await self._settled.wait()
        return await self._live.read() if self._live is not None else b""

    async def write(self, data: bytes) -> None:
        await self._settled.wait()
        if self._live is not None:
            await self._live.write(data)

    async def close_input(self) -> None:
        await self._settled.wait()
        if self._live is not None:
            await self._live.close_input()

    def close(self) -> None:
        self._closed = True
        self._replay.close()
        if self._live is not None:
            self._live.close()
        self._settled.set()


class ReplaySession:
    """What was written before, and nothing more."""

    def __init__(self, replay: Replay, *, tty: bool) -> None:
        self._replay = replay
        self._tty = tty

    @property
    def tty(self) -> bool:
        return self._tty

    async def read(self) -> bytes:
        return await self._replay.read()

    async def write(self, data: bytes) -> None:
        """Dropped: nobody reads it."""

    async def close_input(self) -> None:
        """Nothing to close."""

    def close(self) -> None:
        self._replay.close()
