"""What templates may call, and how values print."""

from boxship.cli.flags import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def show(value: "Any") -> str:
    """A value as Go prints it: `map[a:1]`, `[a b]`, `<no value>`."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{show(item)}" for key, item in sorted(value.items())) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(show(item) for item in value) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def truth(value: "Any") -> bool:
    """Go's truth: empty and zero values are false."""
    return bool(value)


def to_json(value: "Any") -> str:
    import json  # noqa: PLC0415 - only for this function

    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _index(value: "Any", *keys: "Any") -> "Any":
    for key in keys:
        if isinstance(value, dict):
            value = value.get(str(key), "")
        elif isinstance(value, (list, tuple)) and isinstance(key, int):
            if not -1 < key < len(value):
                raise UsageError(f"template: index out of range: {key}")
            value = value[key]
        else:
            raise UsageError(f"template: can't index {show(value)} by {show(key)}")
    return value


def _slice(value: "Any", start: int = 0, end: "int | None" = None) -> "Any":
    return value[start:end]


def _join(items: "Any", separator: str) -> str:
    return separator.join(show(item) for item in items or ())


def _and(*values: "Any") -> "Any":
    for value in values:
        if not truth(value):
            return value
    return values[-1]


def _or(*values: "Any") -> "Any":
    for value in values:
        if truth(value):
            return value
    return values[-1]


def _printf(pattern: str, *values: "Any") -> str:
    shown = tuple(value if isinstance(value, (int, float)) else show(value) for value in values)
    try:
        return pattern.replace("%v", "%s").replace("%q", '"%s"') % shown
    except (TypeError, ValueError) as error:
        raise UsageError(f"template: printf {pattern!r}: {error}") from error


FUNCTIONS: "dict[str, Callable[..., Any]]" = {
    "json": to_json,
    "index": _index,
    "slice": _slice,
    "len": len,
    "join": _join,
    "split": lambda text, separator: text.split(separator),
    "lower": lambda text: show(text).lower(),
    "upper": lambda text: show(text).upper(),
    "title": lambda text: show(text).title(),
    "pad": lambda text, left, right: " " * left + text + " " * right if text else "",
    "truncate": lambda text, length: text[:length],
    "print": lambda *values: "".join(show(value) for value in values),
    "println": lambda *values: " ".join(show(value) for value in values) + "\n",
    "printf": _printf,
    "and": _and,
    "or": _or,
    "not": lambda value: not truth(value),
    "eq": lambda first, *others: first in others,
    "ne": lambda first, second: first != second,
    "lt": lambda first, second: first < second,
    "le": lambda first, second: first <= second,
    "gt": lambda first, second: first > second,
    "ge": lambda first, second: first >= second,
}
