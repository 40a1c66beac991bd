"""Word expansion: `$x`, `${x}`, `${x:-word}` and its relatives, quotes and escapes.

The forms are those of the Dockerfile reference ("Environment replacement") which follow POSIX
shell parameter expansion (XCU 2.6.2). There is no command substitution and no globbing.
"""

import re
from collections.abc import Mapping

from boxship.errors import InvalidArgumentError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPECIAL = frozenset("0123456789*#@-?$!")
_MAX_DEPTH = 50


class Expander:
    """Expands words with one set of variables.

    Attributes:
        used: names that were looked up, found or not.
        missing: names that were looked up and have no value.
    """

    def __init__(self, variables: Mapping[str, str], escape: str = "\\") -> None:
        self._variables = variables
        self._escape = escape
        self.used: set[str] = set()
        self.missing: set[str] = set()

    def word(self, text: str) -> str:
        """Expand to one word, quotes removed.

        Raises:
            InvalidArgumentError: an unfinished quote or `${`, an unknown modifier, or `${x:?}`.
        """
        if not any(char in text for char in ("$", "'", '"', self._escape)):
            return text
        scanner = _Scanner(self, text, self._escape)
        return "".join(text for text, _ in scanner.pieces(""))

    def words(self, text: str) -> list[str]:
        """Expand, then split on white space that was not quoted."""
        found: list[str] = []
        current: list[str] | None = None
        for piece, quoted in _Scanner(self, text, self._escape).pieces(""):
            if quoted:
                current = [*(current or []), piece]
                continue
            for part in re.split(r"(\s+)", piece):
                if part.isspace():
                    found += ["".join(current)] if current is not None else []
                    current = None
                elif part:
                    current = [*(current or []), part]
        return found + (["".join(current)] if current is not None else [])

    def heredoc(self, text: str) -> str:
        """Expand the body of a heredoc: quotes mean nothing, variables and escapes do."""
        scanner = _Scanner(self, text, self._escape, quotes=False)
        return "".join(text for text, _ in scanner.pieces(""))

    def value(self, name: str) -> str | None:
        self.used.add(name)
        value = self._variables.get(name)
        if value is None:
            self.missing.add(name)
        return value


class _Scanner:
    """A cursor over one text; pieces carry whether quotes protect them from splitting."""

    def __init__(self, expander: Expander, text: str, escape: str, *, quotes: bool = True) -> None:
        self._expander = expander
        self._text = text
        self._escape = escape
        self._quotes = quotes
        self._position = 0
        self._depth = 0

    def pieces(self, stop: str) -> list[tuple[str, bool]]:
        """Read up to an unquoted `stop` character, which is consumed, or to the end."""
        out: list[tuple[str, bool]] = []
        while self._position < len(self._text):
            char = self._text[self._position]
            if char == stop:
                self._position += 1
                return out
            out.append(self._piece(char))
        if stop:
            raise _syntax(f"unexpected end of {self._text!r} while looking for {stop!r}")
        return out

    def _piece(self, char: str) -> tuple[str, bool]:
        if char == "$":
            return self._dollar(), False
        if char == self._escape:
            return self._escaped(), True
        if char == "'" and self._quotes:
            return self._single(), True
        if char == '"' and self._quotes:
            return self._double(), True
        self._position += 1
        return char, False

    def _escaped(self) -> str:
        following = self._text[self._position + 1 : self._position + 2]
        self._position += 2
        if self._quotes or following in ("$", self._escape):
            return following
        return self._escape + following

    def _single(self) -> str:
        end = self._text.find("'", self._position + 1)
        if end < 0:
            raise _syntax("unexpected end of statement while looking for matching single-quote")
        body = self._text[self._position + 1 : end]
        self._position = end + 1
        return body

    def _double(self) -> str:
        self._position += 1
        out: list[str] = []
        while self._position < len(self._text):
            char = self._text[self._position]
            if char == '"':
                self._position += 1
                return "".join(out)
            if char == "$":
                out.append(self._dollar())
            elif char == self._escape:
                following = self._text[self._position + 1 : self._position + 2]
                keep = "" if following in ('"', "$", self._escape) else self._escape
                out.append(keep + following)
                self._position += 2
            else:
                out.append(char)
                self._position += 1
        raise _syntax("unexpected end of statement while looking for matching double-quote")

    def _dollar(self) -> str:
        self._position += 1
        if self._text[self._position : self._position + 1] == "{":
            self._position += 1
            return self._braces()
        name = self._name()
        return (self._expander.value(name) or "") if name else "$"

    def _name(self) -> str:
        match = _NAME.match(self._text, self._position)
        if match is not None:
            self._position = match.end()
            return match[0]
        char = self._text[self._position : self._position + 1]
        if char and char in _SPECIAL:
            self._position += 1
            return char
        return ""

    def _braces(self) -> str:
        name = self._name()
        rest = self._text[self._position : self._position + 2]
        if not name:
            raise _syntax(f"bad substitution in {self._text!r}")
        if rest.startswith("}"):
            self._position += 1
            return self._expander.value(name) or ""
        operator = rest if rest[:1] == ":" or rest in ("##", "%%", "//") else rest[:1]
        if operator not in (":-", ":+", ":?", "-", "+", "?", "#", "##", "%", "%%", "/", "//"):
            raise _syntax(f"unsupported modifier ({operator}) in substitution of {name}")
        self._position += len(operator)
        return self._modified(name, operator)

    def _modified(self, name: str, operator: str) -> str:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _syntax("substitutions are nested too deeply")
        try:
            if operator[0] == "/":
                return self._replaced(name, everywhere=operator == "//")
            value = self._expander.value(name)
            if operator[0] in "#%":
                return _trimmed(value or "", self._pattern("}"), operator)
            word = "".join(text for text, _ in self.pieces("}"))
            return _defaulted(name, value, operator, word)
        finally:
            self._depth -= 1

    def _replaced(self, name: str, *, everywhere: bool) -> str:
        value = self._expander.value(name) or ""
        pattern = self._pattern("/")
        replacement = "".join(text for text, _ in self.pieces("}"))
        regex = re.compile(_glob(pattern, greedy=True), re.DOTALL)
        return regex.sub(lambda _: replacement, value, count=0 if everywhere else 1)

    def _pattern(self, stop: str) -> str:
        """Read a pattern; quoted parts match literally, so their wildcards are escaped."""
        return "".join(
            re.sub(r"([*?\[\]\\])", r"\\\1", text) if quoted else text
            for text, quoted in self.pieces(stop)
        )


def _defaulted(name: str, value: str | None, operator: str, word: str) -> str:
    is_set = bool(value) if operator[0] == ":" else value is not None
    kind = operator[-1]
    if kind == "+":
        return word if is_set else ""
    if is_set:
        return value or ""
    if kind == "-":
        return word
    raise InvalidArgumentError(f"{name}: {word or 'not allowed to be unset'}")


def _trimmed(value: str, pattern: str, operator: str) -> str:
    greedy = len(operator) == 2
    body = _glob(pattern, greedy=greedy)
    if operator[0] == "#":
        match = re.match(body, value, re.DOTALL)
        return value[match.end() :] if match else value
    # A suffix match wants the latest (or, doubled, the earliest) start that reaches the end.
    starts = range(len(value) + 1) if greedy else range(len(value), -1, -1)
    anchored = re.compile(body + r"\Z", re.DOTALL)
    return next((value[:start] for start in starts if anchored.match(value, start)), value)


def _glob(pattern: str, *, greedy: bool) -> str:
    out: list[str] = []
    chars = iter(pattern)
    for char in chars:
        if char == "*":
            out.append(".*" if greedy else ".*?")
        elif char == "?":
            out.append(".")
        elif char == "\\":
            out.append(re.escape(next(chars, "\\")))
        else:
            out.append(re.escape(char))
    return "".join(out)


def _syntax(reason: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"failed to process expansion: {reason}")
