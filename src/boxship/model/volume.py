"""Volumes."""

import msgspec


class Volume(msgspec.Struct, frozen=True):
    """A named directory that outlives containers; `created` in nanoseconds since the epoch."""

    name: str
    driver: str
    mountpoint: str
    created: int
    labels: dict[str, str] = {}
    options: dict[str, str] = {}
    anonymous: bool = False
