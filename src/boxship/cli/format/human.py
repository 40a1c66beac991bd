"""Values for people: sizes, ages, short ids."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
# Upper bound in seconds, seconds in one unit, the words.
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


def short_id(text: str) -> str:
    """The first twelve digits, without the digest's algorithm."""
    return text.removeprefix("sha256:")[:12]


def size(number: int, precision: int = 3) -> str:
    """Bytes in decimal units: `5.6MB`."""
    return _scaled(number, 1000, _DECIMAL, precision)


def binary_size(number: int, precision: int = 4) -> str:
    """Bytes in binary units: `5.6MiB`."""
    return _scaled(number, 1024, _BINARY, precision)


def _scaled(number: int, base: int, units: "Sequence[str]", precision: int) -> str:
    value = float(number)
    index = 0
    while value >= base and index < len(units) - 1:
        value /= base
        index += 1
    return f"{value:.{precision}g}{units[index]}"


def span(seconds: float) -> str:
    """A length of time in Docker's words."""
    whole = max(int(seconds), 0)
    for limit, unit, words in _SPANS:
        if whole < limit:
            count = (whole + unit // 2) // unit if unit == 3600 else whole // unit
            return words.format(count)
    return f"{whole // (365 * 86400)} years"


def ago(seconds: float) -> str:
    return f"{span(seconds)} ago"


def ellipsis(text: str, length: int) -> str:
    """Cut to `length` characters, the last one an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"
