"""The connection to the daemon: one at a time, and the keeper goes on without it."""

import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from boxship import log
from boxship.errors import BoxshipError
from boxship.runtime import channel
from boxship.runtime.keeper import messages
from boxship.runtime.keeper.loop import READ, WRITE, Loop
from boxship.runtime.keeper.messages import Done, Message

_BACKLOG_LIMIT = 20_000
"""Messages kept for a daemon that does not read; then it is cut off and has to ask again."""

Handler = Callable[[Any, list[int], "Reply"], None]


class Reply:
    """Answers one request, once, if the daemon that asked is still there."""

    __slots__ = ("_link", "_sequence")

    def __init__(self, link: "Link", sequence: int) -> None:
        self._link = link
        self._sequence = sequence

    def done(self, value: Any = None) -> None:
        self._link.send(self._sequence, Done(value))

    def failed(self, error: Exception) -> None:
        self._link.send(self._sequence, messages.failure(error))


class _Parcel(NamedTuple):
    body: bytes
    fds: list[int]


class Link:
    """One daemon's connection."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        handlers: dict[type[Any], Handler],
        closed: Callable[["Link"], None],
    ) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._sock = sock
        self._handlers = handlers
        self._closed = closed
        self._queue: deque[_Parcel] = deque()
        loop.watch(sock.fileno(), READ, self._ready)

    def is_open(self) -> bool:
        return self._sock.fileno() >= 0

    def send(self, sequence: int, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Send, or queue; the caller keeps its descriptors. Nothing happens when it is closed."""
        if not self.is_open():
            return
        body = messages.encode(sequence, message)
        if not self._queue and self._try_send(body, fds):
            return
        if not self.is_open():
            return
        if len(self._queue) >= _BACKLOG_LIMIT:
            log.error("keeper: the daemon does not read its messages: connection closed")
            self.close()
            return
        self._queue.append(_Parcel(body, [os.dup(fd) for fd in fds]))
        self._loop.change(self._sock.fileno(), READ | WRITE)

    def close(self) -> None:
        if not self.is_open():
            return
        self._loop.forget(self._sock.fileno())
        self._sock.close()
        for parcel in self._queue:
            channel.close_all(parcel.fds)
        self._queue.clear()
        self._closed(self)

    def _try_send(self, body: bytes, fds: tuple[int, ...] | list[int]) -> bool:
        try:
            channel.send(self._sock, body, fds)
        except BlockingIOError:
            return False
        except OSError as e:
            log.info(f"keeper: the daemon is gone: {e}")
            self.close()
            return False
        return True

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if self.is_open() and events & ~WRITE:
            self._receive()

    def _flush(self) -> None:
        while self._queue:
            parcel = self._queue[0]
            if not self._try_send(parcel.body, parcel.fds):
                return
            self._queue.popleft()
            channel.close_all(parcel.fds)
        self._loop.change(self._sock.fileno(), READ)

    def _receive(self) -> None:
        try:
            received = channel.receive(self._sock)
        except BlockingIOError:
            return
        except OSError as e:
            log.warn(f"keeper: the daemon's connection failed: {e}")
            received = None
        if received is None:
            self.close()
            return
        body, fds = received
        try:
            sequence, message = messages.decode(body)
        except BoxshipError as e:
            channel.close_all(fds)
            log.error(f"keeper: {e}")
            self.close()
            return
        self._dispatch(Reply(self, sequence), message, fds)

    def _dispatch(self, reply: Reply, message: Message, fds: list[int]) -> None:
        handler = self._handlers.get(type(message))
        if handler is None:
            channel.close_all(fds)
            name = type(message).__name__
            reply.failed(TypeError(f"{name} is not a request"))
            return
        try:
            handler(message, fds, reply)
        except (BoxshipError, OSError) as e:
            reply.failed(e)
        except Exception as e:
            reply.failed(e)
            raise
