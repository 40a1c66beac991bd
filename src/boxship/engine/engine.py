"""The engine: its services, ready to use."""

from boxship.engine.facade import (
    Builds,
    Containers,
    EngineFacade,
    Events,
    Execs,
    Images,
    Networks,
    Session,
    System,
    Volumes,
)

__all__ = [
    "Builds",
    "Containers",
    "EngineFacade",
    "Events",
    "Execs",
    "Images",
    "Networks",
    "Session",
    "System",
    "Volumes",
]
