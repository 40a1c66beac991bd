"""Signals by the names and numbers that users type."""

import signal

from boxship.errors import InvalidArgumentError

DEFAULT_STOP = "SIGTERM"
_HIGHEST = 64
_RTMIN = 34
"""The C library keeps 32 and 33 for itself, so SIGRTMIN is 34 for users of glibc and musl."""


def signal_number(name: str) -> int:
    """Read `SIGTERM`, `term`, `15`, `RTMIN+3`.

    Raises:
        InvalidArgumentError: `Invalid signal: NAME`.
    """
    if name.isdigit() and 0 < int(name) <= _HIGHEST:
        return int(name)
    bare = name.upper().removeprefix("SIG")
    if bare.startswith("RTMIN+") and bare[6:].isdigit() and int(bare[6:]) <= _HIGHEST - _RTMIN:
        return _RTMIN + int(bare[6:])
    if bare.startswith("RTMAX-") and bare[6:].isdigit() and int(bare[6:]) <= _HIGHEST - _RTMIN:
        return _HIGHEST - int(bare[6:])
    found = _RTMIN if bare == "RTMIN" else _HIGHEST if bare == "RTMAX" else None
    if found is None and not bare.startswith(("_", "RT")):
        found = getattr(signal, f"SIG{bare}", None)
    if not isinstance(found, int):
        raise InvalidArgumentError(f"Invalid signal: {name}")
    return int(found)
