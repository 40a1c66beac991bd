"""The `--flag=value` words between an instruction's name and its arguments."""

from collections.abc import Iterable
from difflib import get_close_matches

from boxship.builder.dockerfile.errors import DockerfileError
from boxship.builder.dockerfile.words import next_word, unquote

_TRUE = ("", "true", "1", "t")
_FALSE = ("false", "0", "f")


def split_flags(text: str, escape: str) -> tuple[list[str], str]:
    """Take the leading flags off; `--` alone ends them."""
    flags: list[str] = []
    position = 0
    while True:
        word, end = next_word(text, position, escape)
        if not word.startswith("--"):
            return flags, text[position:].strip()
        position = end
        if word == "--":
            return flags, text[position:].strip()
        flags.append(unquote(word, escape))


class Flags:
    """Flags of one instruction, checked against the names it knows.

    Raises:
        DockerfileError: an unknown flag, or one given twice that may stand once.
    """

    def __init__(self, words: Iterable[str], known: tuple[str, ...], line: int) -> None:
        self._line = line
        self._values: dict[str, list[str | None]] = {}
        for word in words:
            name, equals, value = word[2:].partition("=")
            if name not in known:
                close = get_close_matches(name, known, 1)
                hint = f" (did you mean {close[0]}?)" if close else ""
                raise DockerfileError(f"unknown flag: --{name}{hint}", line)
            self._values.setdefault(name, []).append(value if equals else None)

    def many(self, name: str) -> tuple[str, ...]:
        values = self._values.get(name, [])
        if any(value is None for value in values):
            raise DockerfileError(f"missing a value on flag: --{name}", self._line)
        return tuple(value for value in values if value is not None)

    def text(self, name: str, default: str = "") -> str:
        self._once(name)
        values = self.many(name)
        return values[0] if values else default

    def boolean(self, name: str) -> bool | None:
        """The flag as a truth value, None when it is not there."""
        self._once(name)
        if name not in self._values:
            return None
        value = (self._values[name][0] or "").lower()
        if value not in _TRUE + _FALSE:
            raise DockerfileError(
                f"expecting boolean value for flag --{name}, not: {value}", self._line
            )
        return value in _TRUE

    def _once(self, name: str) -> None:
        if len(self._values.get(name, [])) > 1:
            raise DockerfileError(f"duplicate flag specified: --{name}", self._line)
