"""What happens, told to whoever listens, with a bounded memory of what happened before."""

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable

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
        # Weak: a subscriber that is dropped without a word is forgotten by itself.
        self._listeners: weakref.WeakSet[_Subscription] = weakref.WeakSet()

    @property
    def listeners(self) -> int:
        return sum(not listener.closed for listener in self._listeners)

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
        subscription = _Subscription(
            [event for event in past if matches(event, chosen)], chosen, until, self._clock
        )
        self._listeners.add(subscription)
        return subscription


class _Subscription:
    """One subscriber: what it still has to hear, and its filters."""

    def __init__(
        self, past: list[Event], filters: Filters, until: int, clock: Callable[[], int]
    ) -> None:
        self._waiting = deque(past)
        self._filters = filters
        self._until = until
        self._clock = clock
        self._arrived = asyncio.Event()
        self._overrun = False
        self.closed = False

    def offer(self, event: Event) -> None:
        if self._overrun or not matches(event, self._filters):
            return
        if len(self._waiting) >= _BACKLOG:
            self._overrun = True
        else:
            self._waiting.append(event)
        self._arrived.set()

    def __aiter__(self) -> "_Subscription":
        return self

    async def __anext__(self) -> Event:
        """The next event; ends when time is up, or after the backlog of one that was too slow."""
        try:
            async with asyncio.timeout(self._seconds_left()):
                while not self._waiting:
                    if self._overrun or self.closed:
                        raise StopAsyncIteration
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise StopAsyncIteration from None
        return self._waiting.popleft()

    async def aclose(self) -> None:
        self.closed = True
        self._waiting.clear()
        self._arrived.set()

    def _seconds_left(self) -> float | None:
        if not self._until or self._waiting:
            return None
        return max(0.0, (self._until - self._clock()) / _SECOND)


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
