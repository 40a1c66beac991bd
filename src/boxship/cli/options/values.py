"""Values of flags: sizes, durations, key=value lists, environment files."""

import os

from boxship.cli.flags import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SIZES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_DURATIONS = (
    ("ns", 1),
    ("us", 10**3),
    ("ms", 10**6),
    ("s", 10**9),
    ("m", 60 * 10**9),
    ("h", 3600 * 10**9),
)


def size(text: str, flag: str) -> int:
    """Bytes of `512m`, `1.5GB`, `64KiB`; 0 for an empty text, -1 as it is.

    Raises:
        UsageError: it is no size.
    """
    if text in ("", "-1"):
        return int(text or 0)
    lower = text.strip().lower().removesuffix("ib").removesuffix("b")
    unit = lower[-1:] if lower[-1:].isalpha() else ""
    number = lower.removesuffix(unit).strip()
    if unit not in _SIZES or not number.replace(".", "", 1).isdigit():
        raise UsageError(f'invalid argument "{text}" for "--{flag}" flag: invalid size: \'{text}\'')
    return int(float(number) * _SIZES[unit])


def duration(text: str, flag: str) -> int:
    """Nanoseconds of `1m30s`, `500ms`.

    Raises:
        UsageError: it is no duration.
    """
    total, number = 0.0, ""
    rest = text
    while rest:
        if rest[0].isdigit() or rest[0] == ".":
            number, rest = number + rest[0], rest[1:]
            continue
        for unit, scale in _DURATIONS:
            if number and rest.startswith(unit) and not rest[len(unit) :][:1].isalpha():
                total += float(number) * scale
                number, rest = "", rest[len(unit) :]
                break
        else:
            break
    if rest or number:
        raise UsageError(f'invalid argument "{text}" for "--{flag}" flag: invalid duration')
    return int(total)


def nano_cpus(text: str) -> int:
    """Billionths of a CPU of `--cpus 1.5`.

    Raises:
        UsageError: it is no positive number.
    """
    if text == "":
        return 0
    try:
        value = float(text)
    except ValueError:
        value = -1
    if value < 0:
        raise UsageError(f'invalid argument "{text}" for "--cpus" flag: want a positive number')
    return int(value * 1_000_000_000)


def pairs(items: "Iterable[str]") -> "dict[str, str]":
    """`key=value` items; a key alone has an empty value."""
    result = {}
    for item in items:
        key, _, value = item.partition("=")
        result[key] = value
    return result


def environment(items: "list[str]", files: "list[str]") -> "list[str]":
    """`--env-file` and `--env` together; a name alone takes its value from our environment.

    Raises:
        UsageError: a file cannot be read or a name is empty.
    """
    lines = [line for path in files for line in file_lines(path)]
    result = []
    for item in [*lines, *items]:
        name, equals, _ = item.partition("=")
        if not name:
            raise UsageError(f"invalid environment variable: {item}")
        if equals:
            result.append(item)
        elif name in os.environ:
            result.append(f"{name}={os.environ[name]}")
    return result


def file_lines(path: str) -> "list[str]":
    """Lines of an environment or label file: no comments, no blank ones.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123 - pathlib costs 5 ms
            lines = [line.strip("\r\n").lstrip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"open {path}: {error}") from error
    return [line for line in lines if line and not line.startswith("#")]


def csv(text: str) -> "list[str]":
    """Comma-separated fields, where a field may be quoted (`type=tmpfs,"tmpfs-opts=a,b"`)."""
    fields, current, quoted = [], "", False
    for char in text:
        if char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            fields.append(current)
            current = ""
        else:
            current += char
    return [*fields, current]
