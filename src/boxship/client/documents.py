"""JSON without the `json` package, for the command line's start time.

`json` imports `re`, which costs 7 ms of a 30 ms `boxship run`; CPython's C scanner and encoder
under it need nothing.
"""

from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner

from boxship.errors import UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SPACE = " \t\r\n"


def _constant(name: str) -> float:
    return float(name.replace("Infinity", "inf"))


class _Settings:
    """What the C scanner reads from its context, as `json.JSONDecoder` would hold it."""

    strict = False
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_constant)


def _refuse(value: object) -> object:
    msg = f"a {type(value).__name__} cannot be written as JSON"
    raise TypeError(msg)


# typeshed types both after `json`'s own classes.
_scan = make_scanner(_Settings)  # type: ignore[arg-type]
_encode = make_encoder(
    None,
    _refuse,
    encode_basestring_ascii,
    None,
    ":",
    ",",
    False,
    False,
    False,
)


def dumps(value: object) -> bytes:
    """A document as compact JSON."""
    return "".join(_encode(value, 0)).encode()


def quoted(text: str) -> str:
    """A text in JSON's quotes, for people: other letters than ASCII's stay as they are."""
    return encode_basestring(text)


def loads(data: bytes) -> "Any":
    """Read one document.

    Raises:
        UnavailableError: it is no JSON, so what answers is no Docker Engine API.
    """
    text = data.decode("utf-8", "replace").strip(_SPACE)
    try:
        value, end = _scan(text, 0)
    except (StopIteration, ValueError) as error:
        raise UnavailableError(f"the engine's answer is no JSON: {text[:80]!r}") from error
    if end != len(text):
        raise UnavailableError(f"the engine's answer goes on after its JSON: {text[end:][:80]!r}")
    return value
