"""Filters that listings and prunes share."""

import re
from datetime import datetime

from boxship.engine.values import Filters
from boxship.errors import InvalidArgumentError

_SECOND = 1_000_000_000
_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_SPAN = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")


def check_filters(filters: Filters, known: tuple[str, ...]) -> None:
    """Refuse filters that would silently do nothing.

    Raises:
        InvalidArgumentError: `invalid filter 'NAME'`.
    """
    for name in filters:
        if name not in known:
            raise InvalidArgumentError(f"invalid filter '{name}'")


def older_than(filters: Filters, now: int) -> int | None:
    """The time of `until` in nanoseconds: a time, seconds since the epoch, or a span (`10m`) ago.

    Raises:
        InvalidArgumentError: several values, or one that is no time.
    """
    values = filters.get("until", ())
    if not values:
        return None
    if len(values) > 1:
        raise InvalidArgumentError("more than one until filter specified")
    text = values[0]
    if _SPAN.fullmatch(text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        return now - int(seconds * _SECOND)
    try:
        return int(float(text) * _SECOND)
    except ValueError:
        pass
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * _SECOND)
    except ValueError:
        raise InvalidArgumentError(f"invalid value for until filter: {text!r}") from None


def has_labels(labels: dict[str, str], filters: Filters) -> bool:
    """Whether labels pass the filters `label` and `label!`."""
    wanted = all(carries(labels, value) for value in filters.get("label", ()))
    return wanted and not any(carries(labels, value) for value in filters.get("label!", ()))


def carries(labels: dict[str, str], wanted: str) -> bool:
    """Whether labels have this `key` or `key=value`."""
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def is_true(values: tuple[str, ...]) -> bool:
    """Whether a filter's value means yes, in Docker's spelling of booleans.

    Raises:
        InvalidArgumentError: it means neither yes nor no.
    """
    answers = {_BOOLEANS.get(value.lower()) for value in values}
    if answers == {True}:
        return True
    if answers <= {False}:
        return False
    raise InvalidArgumentError(f"invalid filter: {', '.join(values)!r} is neither true nor false")


_BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
