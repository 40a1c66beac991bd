"""Small languages inside flags: `RUN --mount` options and Go durations."""

import csv
import re

from boxship.builder.dockerfile.errors import DockerfileError
from boxship.builder.dockerfile.instructions import RunMount
from boxship.errors import UnsupportedError

_ALIASES = {
    "src": "source",
    "dst": "target",
    "destination": "target",
    "ro": "readonly",
    "rw": "readwrite",
}
_KEYS = {
    "bind": ("from", "source", "target", "readonly", "readwrite"),
    "cache": (
        *("id", "target", "readonly", "readwrite", "sharing"),
        *("from", "source", "mode", "uid", "gid"),
    ),
    "tmpfs": ("target", "size"),
    "secret": ("id", "target", "required", "mode", "uid", "gid", "env"),
}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_NANOSECONDS = {
    "ns": 1,
    "us": 1000,
    "µs": 1000,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


def parse_mount(text: str, line: int) -> RunMount:
    """Read the value of `RUN --mount`.

    Raises:
        DockerfileError: an unknown type or key, or a key without its value.
        UnsupportedError: `type=ssh`.
    """
    fields = next(csv.reader([text], strict=True), [])
    options: dict[str, str] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        key = _ALIASES.get(key.strip().lower(), key.strip().lower())
        if not equals and key not in ("readonly", "readwrite", "required"):
            raise DockerfileError(f"invalid field '{field}' must be a key=value pair", line)
        options[key] = value if equals else "true"
    kind = options.pop("type", "bind").lower()
    if kind == "ssh":
        raise UnsupportedError(
            f"RUN --mount=type=ssh on line {line} is not supported",
            hint="pass the key with type=secret instead",
        )
    if kind not in _KEYS:
        raise DockerfileError(f'unsupported mount type "{kind}"', line)
    for key in options:
        if key not in _KEYS[kind]:
            raise DockerfileError(f"unexpected key '{key}' for mount type '{kind}'", line)
    if kind != "secret" and not options.get("target"):
        raise DockerfileError("invalid mount target: target is missing", line)
    return RunMount(kind, options)


def parse_duration(text: str, line: int) -> int:
    """A Go duration (`1m30s`) in nanoseconds.

    Raises:
        DockerfileError: not a duration, or shorter than a millisecond but not zero.
    """
    if text == "0":
        return 0
    total = 0.0
    position = 0
    while match := _DURATION.match(text, position):
        total += float(match[1]) * _NANOSECONDS[match[2]]
        position = match.end()
    if not text or position != len(text):
        raise DockerfileError(f'time: invalid duration "{text}"', line)
    if 0 < total < 10**6:
        raise DockerfileError(f'duration "{text}" cannot be less than 1ms', line)
    return int(total)
