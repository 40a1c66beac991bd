"""boxship: builds, ships and runs containers.

`boxship.connect()` gives a client for the engine. It is loaded on first use, for the command line
imports this package too and must start in milliseconds.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.client.client import Client, connect

__all__ = ["Client", "connect"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from boxship.client import client  # noqa: PLC0415 - see above

    return getattr(client, name)
