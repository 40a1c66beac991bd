import asyncio

import pytest

from boxship.engine.events import HISTORY, EventBus, matches
from boxship.model.event import Event


class Clock:
    def __init__(self) -> None:
        self.now = 1000

    def __call__(self) -> int:
        self.now += 1
        return self.now


def test_a_subscriber_hears_what_follows_its_call() -> None:
    async def scenario() -> list[str]:
        bus = EventBus(Clock())
        bus.emit("container", "create", "a", {})
        stream = bus.subscribe()
        bus.emit("container", "start", "a", {})
        bus.emit("container", "die", "a", {})
        return [(await anext(stream)).action, (await anext(stream)).action]

    assert asyncio.run(scenario()) == ["start", "die"]


def test_history_from_since_to_until() -> None:
    async def scenario() -> list[str]:
        bus = EventBus(Clock())
        for action in ("create", "start", "die", "destroy"):
            bus.emit("container", action, "a", {})
        return [event.action async for event in bus.subscribe(since=1002, until=1003)]

    assert asyncio.run(scenario()) == ["start", "die"]


def test_memory_is_bounded() -> None:
    async def scenario() -> int:
        bus = EventBus(Clock())
        for number in range(HISTORY + 10):
            bus.emit("container", str(number), "a", {})
        return len([event async for event in bus.subscribe(since=1, until=1)]) + len(
            [event async for event in bus.subscribe(since=1, until=HISTORY * 2)]
        )

    assert asyncio.run(scenario()) == HISTORY


def test_a_listener_is_forgotten_when_it_stops() -> None:
    async def scenario() -> tuple[int, int]:
        bus = EventBus(Clock())
        stream = bus.subscribe()
        bus.emit("container", "create", "a", {})
        await anext(stream)
        during = bus.listeners
        await stream.aclose()  # type: ignore[attr-defined]
        return during, bus.listeners

    assert asyncio.run(scenario()) == (1, 0)


EVENT = Event(
    "container",
    "exec_create: ls",
    "abcdef",
    {"name": "web", "image": "app:1", "role": "x"},
    1,
)


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        ({}, True),
        ({"type": ("container",)}, True),
        ({"type": ("image",)}, False),
        ({"event": ("exec_create",)}, True),
        ({"event": ("start", "exec_create: ls")}, True),
        ({"event": ("exec",)}, False),
        ({"container": ("web",)}, True),
        ({"container": ("abc",)}, True),
        ({"container": ("other",)}, False),
        ({"label": ("role",)}, True),
        ({"label": ("role=x", "name=web")}, True),
        ({"label": ("role=x", "role=y")}, False),
        ({"scope": ("swarm",)}, False),
    ],
)
def test_filters(filters: dict[str, tuple[str, ...]], passes: bool) -> None:
    assert matches(EVENT, filters) is passes


def test_image_events_match_by_name_without_tag() -> None:
    event = Event("image", "pull", "app:1", {"name": "app:1"}, 1)
    assert matches(event, {"image": ("app",)})
    assert not matches(event, {"image": ("ap:1",)})
