"""Dockerfile text to logical lines: directives, comments, continuations and heredocs.

Facts from the Dockerfile reference ("Parser directives", "Format", "Here-documents").
"""

import re

import msgspec

from boxship.builder.dockerfile.errors import DockerfileError
from boxship.builder.dockerfile.words import split_words, unquote

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_KNOWN_DIRECTIVES = ("escape", "syntax", "check")
_HEREDOC = re.compile(r"(\d*)<<(-?)([^<]+)")
_HEREDOC_KEYWORDS = ("ADD", "COPY", "RUN")
_MAX_CHARACTERS = 4 << 20


class Heredoc(msgspec.Struct, frozen=True):
    """The body of one here-document.

    Attributes:
        name: the delimiter, without quotes.
        content: the lines up to the delimiter, each with its newline.
        expand: whether variables in the body are expanded (the delimiter was not quoted).
        descriptor: the file descriptor number before `<<`, empty for standard input.
        word: the word on the instruction's line that announced it (`<<"EOF"`).
        raw: the body as written, its closing line included; what a shell must see.
    """

    name: str
    content: str
    expand: bool
    descriptor: str = ""
    word: str = ""
    raw: str = ""


class LogicalLine(msgspec.Struct, frozen=True):
    """One instruction's text with its continuation lines joined.

    Attributes:
        number: 1-based line it starts on.
        end: line it ends on, heredocs included.
    """

    number: int
    end: int
    text: str
    heredocs: tuple[Heredoc, ...] = ()


class Lexed(msgspec.Struct, frozen=True):
    """A whole file: its lines, the escape character, the directives by lower-case name."""

    lines: tuple[LogicalLine, ...]
    escape: str = "\\"
    directives: dict[str, str] = {}
    warnings: tuple[str, ...] = ()


def lex(text: str) -> Lexed:
    """Split a Dockerfile into logical lines.

    Raises:
        DockerfileError: a bad directive, a heredoc without its end, or a file over 4 MB.
    """
    if len(text) > _MAX_CHARACTERS:
        raise DockerfileError("the file is larger than 4 MB")
    physical = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    return _Lexer(physical).run()


class _Lexer:
    def __init__(self, physical: list[str]) -> None:
        self._physical = physical
        self._next = 0
        self._escape = "\\"
        self._warnings: list[str] = []

    def run(self) -> Lexed:
        directives = self._directives()
        lines: list[LogicalLine] = []
        while self._next < len(self._physical):
            line = self._logical()
            if line is not None:
                lines.append(line)
        return Lexed(tuple(lines), self._escape, directives, tuple(self._warnings))

    def _directives(self) -> dict[str, str]:
        """Read the comments at the top that steer the parser; any other line ends them."""
        found: dict[str, str] = {}
        for number, line in enumerate(self._physical, 1):
            match = _DIRECTIVE.fullmatch(line.strip())
            name = match[1].lower() if match else ""
            if match is None or name not in _KNOWN_DIRECTIVES:
                break
            if name in found:
                raise DockerfileError(f"only one {name} parser directive can be used", number)
            found[name] = match[2]
            self._next = number
        escape = found.get("escape", "\\")
        if escape not in ("\\", "`"):
            raise DockerfileError(f"invalid ESCAPE '{escape}' does not match ` or \\")
        self._escape = escape
        return found

    def _logical(self) -> LogicalLine | None:
        number = self._next + 1
        first = self._take().strip()
        if not first or first.startswith("#"):
            return None
        text, more = self._continued(first)
        while more and self._next < len(self._physical):
            line = self._take()
            if line.lstrip().startswith("#"):
                continue
            if not line.strip():
                self._note_empty(text)
                continue
            part, more = self._continued(line)
            text += part
        text = text.rstrip()
        heredocs = self._heredocs(text, number)
        return LogicalLine(number, self._next, text, heredocs) if text else None

    def _take(self) -> str:
        line = self._physical[self._next]
        self._next += 1
        return line

    def _continued(self, line: str) -> tuple[str, bool]:
        """The line without its continuation mark, and whether it had one.

        A doubled escape character at the end is an escaped escape, not a continuation.
        """
        stripped = line.rstrip(" \t")
        if not stripped.endswith(self._escape) or stripped.endswith(self._escape * 2):
            return line, False
        return stripped[:-1], True

    def _note_empty(self, text: str) -> None:
        at_end = all(not rest.strip() for rest in self._physical[self._next :])
        if not at_end:
            self._warnings.append(f"empty continuation line found in: {text.strip()}")

    def _heredocs(self, text: str, number: int) -> tuple[Heredoc, ...]:
        if "<<" not in text:
            return ()
        keyword, *arguments = text.split(maxsplit=1)
        while keyword.upper() == "ONBUILD" and arguments:
            keyword, *arguments = arguments[0].split(maxsplit=1)
        if keyword.upper() not in _HEREDOC_KEYWORDS:
            return ()
        rest = "".join(arguments)
        return tuple(
            self._heredoc(match, number)
            for word in split_words(rest, self._escape)
            if (match := _HEREDOC.fullmatch(word)) and unquote(match[3], self._escape)
        )

    def _heredoc(self, match: re.Match[str], number: int) -> Heredoc:
        descriptor, chomp, quoted = match.groups()
        name = unquote(quoted, self._escape)
        body: list[str] = []
        raw: list[str] = []
        while self._next < len(self._physical):
            line = self._take()
            raw.append(line + "\n")
            stripped = line.lstrip("\t") if chomp else line
            if stripped == name:
                return Heredoc(
                    name, "".join(body), name == quoted, descriptor, match[0], "".join(raw)
                )
            body.append(stripped + "\n")
        raise DockerfileError(f"unterminated heredoc {name}", number)
