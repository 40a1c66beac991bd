"""The daemon's end of its connection to the keeper, on asyncio."""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from boxship.errors import BoxshipError, UnavailableError
from boxship.runtime import channel
from boxship.runtime.keeper import messages
from boxship.runtime.keeper.messages import Done, Failed, Message

_TURN = 64
"""Messages handled before other work of the event loop gets its turn."""


class KeeperLostError(UnavailableError):
    """The keeper ended before it answered; whether it did what was asked is not known."""


class KeeperDeadError(KeeperLostError):
    """The keeper had ended before it could be asked: the next one may be asked the same."""


class _Parcel(NamedTuple):
    body: bytes
    fds: list[int]


class KeeperLink:
    """Requests and their answers, and the keeper's reports in between, in order."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        on_report: Callable[[Message, list[int]], None],
        on_lost: "Callable[[KeeperLink, str], None]",
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._on_report = on_report
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._sequence = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._queue: deque[_Parcel] = deque()
        self._loop.add_reader(sock.fileno(), self._readable)

    async def request(self, message: Message, fds: tuple[int, ...] = ()) -> Any:
        """Ask and wait for the answer; the caller keeps its descriptors.

        Raises:
            KeeperLostError: the keeper ended first.
            BoxshipError: what the keeper says is wrong.
        """
        if self._sock.fileno() < 0:
            raise _lost()
        self._sequence += 1
        sequence = self._sequence
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting[sequence] = future
        try:
            self._send(messages.encode(sequence, message), fds)
            return await future
        finally:
            self._waiting.pop(sequence, None)

    @property
    def closed(self) -> bool:
        return self._sock.fileno() < 0

    def close(self) -> None:
        """Leave; nobody is told, and waiting requests fail."""
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        for parcel in self._queue:
            channel.close_all(parcel.fds)
        self._queue.clear()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(_lost())

    def _send(self, body: bytes, fds: tuple[int, ...]) -> None:
        if not self._queue:
            try:
                channel.send(self._sock, body, fds)
            except BlockingIOError:
                pass
            except OSError as e:
                self._broken(str(e))
                raise KeeperDeadError("the keeper has ended", hint="try again") from e
            else:
                return
        self._queue.append(_Parcel(body, [os.dup(fd) for fd in fds]))
        self._loop.add_writer(self._sock.fileno(), self._writable)

    def _broken(self, why: str) -> None:
        """It cannot be written to: hear what the keeper said last, then end.

        At once, so that whoever asks again asks the next keeper and not this one.
        """
        while self._sock.fileno() >= 0 and self._readable():
            pass
        if self._sock.fileno() >= 0:
            self._end(why)

    def _writable(self) -> None:
        while self._queue:
            parcel = self._queue[0]
            try:
                channel.send(self._sock, parcel.body, parcel.fds)
            except BlockingIOError:
                return
            except OSError as e:
                self._broken(str(e))
                return
            self._queue.popleft()
            channel.close_all(parcel.fds)
        self._loop.remove_writer(self._sock.fileno())

    def _readable(self) -> bool:
        """Handle what has come; tell whether there may be more."""
        for _ in range(_TURN):
            try:
                received = channel.receive(self._sock)
            except BlockingIOError:
                return False
            except OSError as e:
                self._end(str(e))
                return False
            if received is None:
                self._end("its socket was closed")
                return False
            self._handle(*received)
            if self._sock.fileno() < 0:
                return False
        return True

    def _handle(self, body: bytes, fds: list[int]) -> None:
        try:
            sequence, message = messages.decode(body)
        except BoxshipError as e:
            channel.close_all(fds)
            self._end(str(e))
            return
        future = self._waiting.get(sequence)
        if future is None:
            self._on_report(message, fds)
            return
        channel.close_all(fds)
        if future.done():
            return
        if isinstance(message, Failed):
            future.set_exception(messages.error_of(message))
        else:
            future.set_result(message.value if isinstance(message, Done) else None)

    def _end(self, why: str) -> None:
        self.close()
        self._on_lost(self, why)


def _lost() -> KeeperLostError:
    return KeeperLostError("the keeper ended before it answered", hint="try again")
