"""Ending transfers from outside: a flag, and the sockets that threads are blocked on."""

import socket
import threading
from contextlib import suppress


class Stop:
    """Set it, from any thread, to make everything that works under it end soon."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Sleep, but not past the stop."""
        self._event.wait(seconds)

    def set(self) -> None:
        with self._lock:
            self._event.set()
            sockets = list(self._sockets)
        for one in sockets:
            # Wakes a thread that waits in recv(2) or send(2); closing would not.
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def watch(self, one: socket.socket) -> None:
        """Shut this socket down when the stop comes, or at once when it is past."""
        with self._lock:
            self._sockets.add(one)
        if self.is_set():
            self.set()

    def forget(self, one: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(one)
