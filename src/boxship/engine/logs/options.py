"""Log drivers and their options, as `--log-driver` and `--log-opt` give them."""

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.model.container import LogConfig

DEFAULT_MAX_SIZE = 10 << 20
DEFAULT_MAX_FILE = 3
_DRIVERS = ("", "json-file", "none")
_KNOWN = frozenset(
    ("awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "journald", "local", "splunk", "syslog")
)
_OPTIONS = ("max-size", "max-file", "compress", "labels", "labels-regex", "env", "env-regex", "tag")
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def check_log(config: LogConfig) -> None:
    """Refuse drivers and options that cannot be honoured.

    Raises:
        UnsupportedError: a driver of Docker's that this engine does not have.
        InvalidArgumentError: no driver or option at all.
    """
    if config.driver in _KNOWN:
        raise UnsupportedError(
            f"log driver {config.driver!r} is not supported", hint="use json-file or none"
        )
    if config.driver not in _DRIVERS:
        raise InvalidArgumentError(f"logger: no log driver named '{config.driver}' is registered")
    for name in config.options:
        if name not in _OPTIONS and name not in ("mode", "max-buffer-size"):
            raise InvalidArgumentError(f"unknown log opt '{name}' for json-file log driver")
    rotation(config)


def rotation(config: LogConfig) -> tuple[int, int]:
    """Bytes of one file (0: no limit) and number of files that a json-file log may take.

    Raises:
        InvalidArgumentError: a value that is no size or no count.
    """
    size = DEFAULT_MAX_SIZE
    text = config.options.get("max-size", "")
    if text:
        size = max(0, _size(text)) if text != "-1" else 0
    count = config.options.get("max-file", "")
    if count and not (count.isdigit() and int(count) > 0):
        raise InvalidArgumentError(f"max-file cannot be {count!r}: want a count from 1")
    return size, int(count) if count else DEFAULT_MAX_FILE


def _size(text: str) -> int:
    body = text.lower().removesuffix("ib").removesuffix("b")
    unit = body[-1:] if body[-1:].isalpha() else ""
    number = body.removesuffix(unit)
    if unit not in _UNITS or not number.isdigit():
        raise InvalidArgumentError(f"invalid size: '{text}'")
    return int(number) * _UNITS[unit]
