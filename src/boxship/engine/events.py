"""What happens, told to whoever listens, with a bounded memory of what happened before."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable

from boxship.engine.filters import carries
from boxship.engine.values import Filters
from boxship.model.event import Event

HISTORY = 1024
"""Events kept for `since`. Docker keeps 256."""

_BACKLOG = 4096
_SECOND = 1_000_000_000
_ACTOR_TYPES = ("container", "image", "volume", "network", "daemon", "builder")


class EventBus:
    """Publishes events; subscribers that do not keep up are cut off rather than eat memory."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._history: deque[Event] = deque(maxlen=HISTORY)
        self._listeners: set[_Listener] = set()

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def emit(self, kind: str, action: str, actor_id: str, attributes: dict[str, str]) -> None:
        """Tell everybody, now. Never fails and never waits."""
        event = Event(kind, action, actor_id, attributes, self._clock())
        self._history.append(event)
        for listener in tuple(self._listeners):
            listener.offer(event)

    def subscribe(
        self, since: int = 0, until: int = 0, filters: Filters | None = None
    ) -> AsyncIterator[Event]:
        """Remembered events from `since` on (0: none), then new ones up to `until` (0: for ever).

        Listening begins with the call, so nothing that happens before the first item is missed.
        """
        chosen = filters or {}
        past: list[Event] = []
        if since or until:
            past = [e for e in self._history if e.time >= since and (not until or e.time <= until)]
        listener = _Listener()
        self._listeners.add(listener)
        return self._stream([e for e in past if matches(e, chosen)], listener, until, chosen)

    async def _stream(
        self, past: Iterable[Event], listener: "_Listener", until: int, filters: Filters
    ) -> AsyncIterator[Event]:
        try:
            for event in past:
                yield event
            while True:
                event_or_end = await listener.next(self._seconds_left(until))
                if event_or_end is None:
                    return
                if matches(event_or_end, filters):
                    yield event_or_end
        finally:
            self._listeners.discard(listener)

    def _seconds_left(self, until: int) -> float | None:
        if not until:
            return None
        return max(0.0, (until - self._clock()) / _SECOND)


class _Listener:
    """A bounded queue of events for one subscriber."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event] = asyncio.Queue(_BACKLOG)
        self._overrun = False

    def offer(self, event: Event) -> None:
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self._overrun = True

    async def next(self, seconds: float | None) -> Event | None:
        """The next event; None when time is up, or after the backlog of one that was too slow."""
        if self._overrun and self._queue.empty():
            return None
        try:
            async with asyncio.timeout(seconds):
                return await self._queue.get()
        except TimeoutError:
            return None


def matches(event: Event, filters: Filters) -> bool:
    """Whether an event passes; values of one name are alternatives, except for labels."""
    return all(_passes(event, name, values) for name, values in filters.items() if values)


def _passes(event: Event, name: str, values: tuple[str, ...]) -> bool:
    attributes = event.attributes
    if name == "label":
        return all(carries(attributes, value) for value in values)
    if name == "type":
        return event.type in values
    if name == "event":
        return any(event.action == v or event.action.startswith(v + ":") for v in values)
    if name == "scope":
        return "local" in values
    if name in _ACTOR_TYPES:
        return _is_actor(event, name, values)
    return True


def _is_actor(event: Event, kind: str, values: tuple[str, ...]) -> bool:
    if event.type != kind:
        # A network or volume event that names the container belongs to its story as well.
        other = event.attributes.get("container", "") if kind == "container" else ""
        return bool(other) and any(other.startswith(v) for v in values)
    name = event.attributes.get("name", "")
    for value in values:
        if value in (event.actor_id, name) or (value and event.actor_id.startswith(value)):
            return True
        if kind == "image" and name.partition(":")[0] == value:
            return True
    return False
