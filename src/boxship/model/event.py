"""What happened: the engine's events."""

import msgspec


class Event(msgspec.Struct, frozen=True):
    """One event, in Docker's words: type `container`, action `start`, the actor and its attributes.

    `time` is in nanoseconds since the epoch.
    """

    type: str
    action: str
    actor_id: str
    attributes: dict[str, str]
    time: int
