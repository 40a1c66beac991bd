"""Attach clients: one end of a socket pair, the other is in the daemon's hands.

To a client go the process's output, as Docker's stdcopy frames or as it is when the process has
a terminal; from it comes input. End of file towards the client means that the process ended and
all of its output was delivered.
"""

import socket
import struct
from typing import TYPE_CHECKING

from boxship.runtime.keeper.loop import HANGUP, READ, WRITE, Loop
from boxship.runtime.keeper.messages import Streams

if TYPE_CHECKING:
    from boxship.runtime.keeper.process import Process

BUFFER_LIMIT = 1_048_576
"""Bytes kept for a client that does not read, before its process's output is no longer read."""

_RESUME_BELOW = BUFFER_LIMIT // 2
_CHUNK = 65_536
_FRAME = struct.Struct(">BxxxI")


class Client:
    """One attach client of one process."""

    __slots__ = (
        "_buffer",
        "_finished",
        "_loop",
        "_process",
        "_reading",
        "_sock",
        "number",
        "streams",
    )

    def __init__(
        self, loop: Loop, process: "Process", sock: socket.socket, number: int, streams: Streams
    ) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._process = process
        self._sock = sock
        self._buffer = bytearray()
        self._finished = False
        self._reading = streams.stdin
        self.number = number
        self.streams = streams
        loop.watch(sock.fileno(), self._events(), self._ready)

    @property
    def congested(self) -> bool:
        return len(self._buffer) > BUFFER_LIMIT

    @property
    def takes_output(self) -> bool:
        return self.streams.stdout or self.streams.stderr

    def deliver(self, stream: int, data: bytes, raw: bool) -> None:
        """Queue output; whoever calls looks at `congested` afterwards."""
        if self._finished or not self.streams[stream]:
            return
        header = b"" if raw else _FRAME.pack(stream, len(data))
        if self._buffer:
            self._buffer += header
            self._buffer += data
            return
        try:
            sent = self._sock.sendmsg((header, data))
        except BlockingIOError:
            sent = 0
        except OSError:
            self.drop()
            return
        if sent < len(header) + len(data):
            self._buffer += (header + data)[sent:]
            self._rewatch()

    def finish(self) -> None:
        """No more output will come: end the stream once everything is delivered."""
        self._finished = True
        self._reading = False
        if self._buffer:
            self._rewatch()
        else:
            self.drop()

    def resume_reading(self) -> None:
        """The process takes input again."""
        if self._reading and not self._finished:
            self._rewatch()

    def drop(self) -> None:
        """End the connection now."""
        if self._sock.fileno() < 0:
            return
        self._loop.forget(self._sock.fileno())
        self._buffer.clear()
        hang_up(self._sock)
        self._process.client_gone(self)

    def _events(self) -> int:
        wanted = WRITE if self._buffer else 0
        if self._reading and not self._process.input_full:
            wanted |= READ
        return wanted

    def _rewatch(self) -> None:
        fd = self._sock.fileno()
        if fd < 0:
            return
        if self._loop.watches(fd):
            self._loop.change(fd, self._events())
        else:
            self._loop.watch(fd, self._events(), self._ready)

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if events & READ and self._reading:
            self._take_input()
        elif events & HANGUP:
            self._hung_up()

    def _hung_up(self) -> None:
        if self._sock.fileno() < 0:
            return
        if self._reading:
            # It left input behind for a process that is slow to read: look again when it does.
            self._loop.forget(self._sock.fileno())
        else:
            self.drop()

    def _take_input(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._process.take_input(data)
            if not self._process.input_full:
                return
        else:
            self._reading = False
            self._process.input_ended()
        self._rewatch()

    def _flush(self) -> None:
        was_congested = len(self._buffer) > _RESUME_BELOW
        try:
            sent = self._sock.send(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            self.drop()
            return
        del self._buffer[:sent]
        if not self._buffer:
            if self._finished:
                self.drop()
                return
            self._rewatch()
        if was_congested and len(self._buffer) <= _RESUME_BELOW:
            self._process.client_relieved()


def hang_up(sock: socket.socket) -> None:
    """Close so that the peer reads end of file even when we never read what it sent.

    A unix socket closed with unread data gives its peer ECONNRESET in place of EOF
    (unix_release_sock in the kernel), so nothing more is let in, then what came is thrown away.
    """
    try:
        sock.shutdown(socket.SHUT_RDWR)
        sock.setblocking(False)
        while sock.recv(_CHUNK):
            pass
    except OSError:
        pass
    sock.close()
