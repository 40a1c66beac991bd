"""Write JSON without the json package, which between clone and exec must not be imported."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

try:
    from _json import encode_basestring_ascii
except ImportError:

    def encode_basestring_ascii(text: str, /) -> str:
        """As the C function, for an interpreter without it."""
        units = text.encode("utf-16-be", "surrogatepass")
        words = [int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2)]
        plain = (c if 31 < c < 127 and c not in b'"\\' else -1 for c in words)
        marks = zip(plain, words, strict=True)
        return '"' + "".join(chr(p) if p >= 0 else f"\\u{w:04x}" for p, w in marks) + '"'


_quote: "Callable[[str], str]" = encode_basestring_ascii


def dumps(value: "Any") -> str:
    """Encode dicts with string keys, lists, strings, numbers, booleans and None."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quote(k)}:{dumps(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(dumps(item) for item in value) + "]"
    if isinstance(value, str):
        return _quote(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)
