"""The keeper's event loop: epoll, timers, nothing else.

Level-triggered, one callback a descriptor, and a callback handles a bounded amount of work, so a
container that floods its output gets one turn a round like everybody else. Without timers the
loop sleeps in epoll_wait without a time limit: an idle keeper uses no CPU at all.
"""

import heapq
import select
import time
from collections.abc import Callable

from boxship import log

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
HANGUP = select.EPOLLHUP | select.EPOLLERR
"""Reported whatever was asked for; a watch for 0 gets only these."""

Callback = Callable[[int], None]


class Timer:
    """A callback that is due; `cancel` may be called at any time."""

    __slots__ = ("callback", "due")

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback: Callable[[], None] | None = callback

    def __lt__(self, other: "Timer") -> bool:
        return self.due < other.due

    def cancel(self) -> None:
        self.callback = None


class Loop:
    """Calls back for descriptors that are ready and timers that are due, until stopped."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}
        self._forgotten: set[int] = set()
        self._timers: list[Timer] = []
        self._running = False

    def watch(self, fd: int, events: int, callback: Callback) -> None:
        self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def change(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def watches(self, fd: int) -> bool:
        return fd in self._callbacks

    def forget(self, fd: int) -> None:
        """Stop watching, before the descriptor is closed; no error when it is not watched."""
        if self._callbacks.pop(fd, None) is None:
            return
        self._forgotten.add(fd)
        self._epoll.unregister(fd)

    def later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(self._clock() + seconds, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def run(self) -> None:
        self._running = True
        while self._running:
            self.turn()

    def stop(self) -> None:
        self._running = False

    def close(self) -> None:
        self._epoll.close()

    def turn(self) -> None:
        """Wait for the next event or timer, and handle everything that is due."""
        ready = self._epoll.poll(self._patience())
        # A number forgotten in this round may already stand for another descriptor: what epoll
        # said about it is void, and level triggering will say it again if it still holds.
        self._forgotten.clear()
        for fd, events in ready:
            callback = self._callbacks.get(fd)
            if callback is not None and fd not in self._forgotten:
                self._guard(callback, events)
        self._fire()

    def _patience(self) -> float | None:
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return None
        return max(0.0, self._timers[0].due - self._clock())

    def _fire(self) -> None:
        now = self._clock()
        while self._timers and self._timers[0].due <= now:
            callback = heapq.heappop(self._timers).callback
            if callback is not None:
                self._guard(lambda _events, call=callback: call(), 0)  # type: ignore[misc]

    @staticmethod
    def _guard(callback: Callback, events: int) -> None:
        try:
            callback(events)
        except Exception as e:  # noqa: BLE001 - one container's trouble must not end them all
            log.error(f"keeper: {type(e).__name__}: {e}")
