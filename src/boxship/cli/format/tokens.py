"""Templates taken apart: text and code, and code into words."""

from boxship.cli.flags import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
_ENDS = " \t\n|()"
_NUMBERS = "0123456789"
_CONSTANTS = {"true": True, "false": False, "nil": None}


class Token:
    """A word of a pipeline.

    Attributes:
        kind: `word`, `literal`, `field`, `variable` or `group`.
        value: the name, the literal, or a group's pipeline.
        fields: names after it: `.A.B`.
    """

    __slots__ = ("fields", "kind", "value")

    def __init__(self, kind: str, value: "Any", fields: "tuple[str, ...]" = ()) -> None:
        self.kind = kind
        self.value = value
        self.fields = fields


def blocks(text: str) -> "Iterator[tuple[str, bool]]":
    """Pieces of a template: (piece, whether it is code); `{{-` and `-}}` trim spaces."""
    rest = text
    while rest:
        head, opened, rest = rest.partition("{{")
        trim_left = opened and rest.startswith("- ")
        if head:
            yield (head.rstrip() if trim_left else head), False
        if not opened:
            return
        code, closed, rest = rest.partition("}}")
        if not closed:
            raise UsageError("template parsing error: unclosed action")
        if code.endswith(" -"):
            code, rest = code[:-1], rest.lstrip()
        yield code.removeprefix("- ").strip(), True


def tokens(text: str) -> "list[list[Token]]":
    """The commands of a pipeline."""
    reader = _Reader(text.strip())
    commands = reader.pipeline()
    if not reader.done():
        raise UsageError(f"template parsing error: unexpected ')' in {text!r}")
    return commands


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def done(self) -> bool:
        return self._at >= len(self._text)

    def pipeline(self) -> "list[list[Token]]":
        """Commands up to the end or an unmatched `)`."""
        commands: list[list[Token]] = [[]]
        while not self.done():
            char = self._text[self._at]
            if char == ")":
                break
            if char.isspace():
                self._at += 1
            elif char == "|":
                self._at += 1
                commands.append([])
            else:
                commands[-1].append(self._token(char))
        if not all(commands):
            raise UsageError("template parsing error: missing value for command")
        return commands

    def _token(self, char: str) -> Token:
        if char in "\"'`":
            return Token("literal", self._string(char))
        if char == "(":
            self._at += 1
            inner = self.pipeline()
            if self.done():
                raise UsageError("template parsing error: unclosed left paren")
            self._at += 1
            return Token("group", inner, _fields(self._word()))
        word = self._word()
        if word.startswith("."):
            return Token("field", word, _fields(word))
        if word.startswith("$"):
            name, _, rest = word.partition(".")
            return Token("variable", name, _fields(f".{rest}" if rest else ""))
        return _plain(word)

    def _word(self) -> str:
        start = self._at
        while not self.done() and self._text[self._at] not in _ENDS:
            self._at += 1
        return self._text[start : self._at]

    def _string(self, quote: str) -> str:
        self._at += 1
        out: list[str] = []
        while not self.done():
            char = self._text[self._at]
            self._at += 1
            if char == quote:
                return "".join(out)
            if char == "\\" and quote != "`" and not self.done():
                char = _ESCAPES.get(self._text[self._at], self._text[self._at])
                self._at += 1
            out.append(char)
        raise UsageError("template parsing error: unterminated quoted string")


def _plain(word: str) -> Token:
    digits = word.lstrip("-")
    if digits and digits[0] in _NUMBERS:
        return Token("literal", float(word) if "." in word else int(word))
    if word in _CONSTANTS:
        return Token("literal", _CONSTANTS[word])
    return Token("word", word)


def _fields(text: str) -> "tuple[str, ...]":
    return tuple(part for part in text.split(".") if part)
