"""Times: nanoseconds since the epoch in the engine, RFC 3339 or seconds on the wire."""

import datetime as dt
import re

from boxship.errors import InvalidArgumentError

ZERO = "0001-01-01T00:00:00Z"
_NS = 1_000_000_000
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?)?(Z|z|[+-]\d\d:?\d\d)?"
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 1000, "ms": 1_000_000, "s": _NS, "m": 60 * _NS, "h": 3600 * _NS}


def rfc3339(time: int) -> str:
    """With nanoseconds, trailing zeros cut as Go cuts them; 0 is Docker's zero time."""
    if time == 0:
        return ZERO
    seconds, rest = divmod(time, _NS)
    text = dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{text}{fraction}Z"


def rfc3339_fixed(time: int) -> str:
    """With all nine digits, as log lines carry it."""
    seconds, rest = divmod(time, _NS)
    text = dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09d}Z"


def parse_time(text: str, now: int) -> int:
    """Read what `since` and `until` take.

    Seconds since the epoch with a fraction, an RFC 3339 date or time, or a duration before `now`
    (`10m`, `1h30m`). Empty and 0 are 0: not given.

    Raises:
        InvalidArgumentError: it is none of these.
    """
    if text in ("", "0"):
        return 0
    whole, _, fraction = text.partition(".")
    if whole.isdigit() and (fraction == "" or fraction.isdigit()):
        return int(whole) * _NS + int(f"{fraction[:9]:0<9}" if fraction else 0)
    if _DURATION.sub("", text) == "":
        return now - sum(
            int(float(number) * _UNITS[unit]) for number, unit in _DURATION.findall(text)
        )
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise InvalidArgumentError(
            f"invalid time {text!r}", hint="use seconds, RFC 3339 or a duration such as 10m"
        )
    return _absolute(match, text)


def _absolute(match: re.Match[str], text: str) -> int:
    day, clock, fraction, zone = match.groups()
    clock = clock or "00:00:00"
    clock = clock if clock.count(":") == 2 else f"{clock}:00"
    offset = "+00:00" if zone in (None, "Z", "z") else zone
    try:
        moment = dt.datetime.fromisoformat(f"{day}T{clock}{offset}")
    except ValueError as error:
        raise InvalidArgumentError(f"invalid time {text!r}: {error}") from error
    return int(moment.timestamp()) * _NS + int(f"{fraction or '':0<9}")


def seconds_of(text: str | None) -> int:
    """The whole seconds of an RFC 3339 time in a document; 0 where there is none."""
    if not text:
        return 0
    match = _RFC3339.fullmatch(text)
    return _absolute(match, text) // _NS if match else 0


# Upper bound in seconds, seconds in one unit, the words; as Docker's clients expect to read them.
_SPANS = (
    (1, 1, "Less than a second"),
    (2, 1, "1 second"),
    (60, 1, "{} seconds"),
    (120, 60, "About a minute"),
    (3600, 60, "{} minutes"),
    (5400, 3600, "About an hour"),
    (48 * 3600, 3600, "{} hours"),
    (14 * 86400, 86400, "{} days"),
    (60 * 86400, 7 * 86400, "{} weeks"),
    (730 * 86400, 30 * 86400, "{} months"),
)


def human_duration(nanoseconds: int) -> str:
    """A span in Docker's words: `Less than a second`, `About a minute`, `3 days`."""
    seconds = max(nanoseconds, 0) // _NS
    for limit, unit, words in _SPANS:
        if seconds < limit:
            count = (seconds + unit // 2) // unit if unit == 3600 else seconds // unit
            return words.format(count)
    return f"{seconds // (365 * 86400)} years"
