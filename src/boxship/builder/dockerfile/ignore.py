"""Which paths a `.dockerignore` file, or `COPY --exclude`, leaves out.

Rules of the Dockerfile reference (".dockerignore file"): patterns are Go's `filepath.Match` plus
`**` for any number of directories, the last pattern that matches decides, and a pattern that
matches a directory holds for everything below it.
"""

import posixpath
import re
from collections.abc import Iterable

import msgspec

from boxship.errors import InvalidArgumentError

_WILDCARDS = {"*": "[^/]*", "?": "[^/]"}


class _Rule(msgspec.Struct, frozen=True):
    regex: re.Pattern[str]
    exclude: bool
    literal: str


class IgnoreRules:
    """Compiled patterns; paths are relative, separated by `/`, without a leading one."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._rules = tuple(_rule(pattern) for pattern in patterns)
        self._exceptions = tuple(rule for rule in self._rules if not rule.exclude)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def excludes(self, path: str) -> bool:
        """Whether the path is left out, by itself or through a parent directory."""
        excluded = False
        prefixes = [path]
        while (parent := posixpath.dirname(prefixes[-1])) != "":
            prefixes.append(parent)
        for rule in self._rules:
            if rule.exclude != excluded and any(rule.regex.fullmatch(p) for p in prefixes):
                excluded = rule.exclude
        return excluded

    def prunes(self, directory: str) -> bool:
        """Whether nothing below an excluded directory can come back by a `!` pattern."""
        for rule in self._exceptions:
            below = rule.literal.startswith(directory + "/")
            wild = not rule.literal or (directory + "/").startswith(rule.literal)
            if below or wild:
                return False
        return True


def parse_ignore(text: str) -> tuple[str, ...]:
    """The patterns of a `.dockerignore` file: comments, blank lines and padding removed.

    Raises:
        InvalidArgumentError: a lone `!` or a pattern that cannot be compiled.
    """
    patterns: list[str] = []
    for line in text.removeprefix("\ufeff").splitlines():
        pattern = line.strip()
        if pattern and not line.startswith("#"):
            _rule(pattern)
            patterns.append(pattern)
    return tuple(patterns)


def match_path(pattern: str, path: str) -> bool:
    """Go's `filepath.Match`: `*` and `?` do not cross `/`, and `**` means nothing special."""
    return re.compile(_translate(re.sub(r"\*+", "*", pattern))).fullmatch(path) is not None


def has_wildcards(path: str) -> bool:
    return any(char in path for char in "*?[\\")


def _rule(text: str) -> _Rule:
    exclude = not text.startswith("!")
    pattern = text if exclude else text[1:].strip()
    if not pattern:
        raise InvalidArgumentError('illegal exclusion pattern: "!"')
    pattern = posixpath.normpath(pattern).lstrip("/") or "."
    try:
        regex = re.compile(_translate(pattern), re.DOTALL)
    except re.error as error:
        raise InvalidArgumentError(f"invalid ignore pattern {text!r}: {error}") from error
    # What comes before the first wildcard lets a walk skip directories no pattern can reach.
    literal = re.split(r"[*?\[\\]", pattern, maxsplit=1)[0]
    return _Rule(regex, exclude, literal)


def _translate(pattern: str) -> str:
    out: list[str] = []
    position = 0
    while position < len(pattern):
        text, position = _token(pattern, position)
        out.append(text)
    return "".join(out)


def _token(pattern: str, position: int) -> tuple[str, int]:
    char = pattern[position]
    if pattern.startswith("**/", position):
        return "(?:.*/)?", position + 3
    if pattern.startswith("**", position):
        at_end = position + 2 == len(pattern)
        return ".*" if at_end else "(?:.*/)?", position + 2
    if char in _WILDCARDS:
        return _WILDCARDS[char], position + 1
    if char == "\\" and position + 1 < len(pattern):
        return re.escape(pattern[position + 1]), position + 2
    if char == "[":
        return _bracket(pattern, position)
    return re.escape(char), position + 1


def _bracket(pattern: str, position: int) -> tuple[str, int]:
    end = pattern.find("]", position + 2)
    if end < 0:
        raise InvalidArgumentError(f"syntax error in pattern {pattern!r}: [ without ]")
    body = pattern[position + 1 : end]
    negated = body.startswith("^")
    body = re.sub(r"([\[\]&~|^])", r"\\\1", body[1:] if negated else body)
    return f"(?!/)[{'^' if negated else ''}{body}]", end + 1
