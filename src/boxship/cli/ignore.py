"""`.dockerignore` at the client, so that what is excluded is not even sent.

The engine reads the file again and has the last word; both follow Docker's rules: patterns from
the context's root, `*`, `?`, `[...]`, `**`, a leading `!` for exceptions, the last match wins.
"""

import re
from pathlib import Path


class Ignore:
    """Which paths of a context are left out."""

    def __init__(self, lines: "list[str]") -> None:
        self._rules: list[tuple[bool, re.Pattern[str], str]] = []
        for line in lines:
            text = line.strip()
            if not text or line.startswith("#"):
                continue
            exception = text.startswith("!")
            pattern = _clean(text[1:] if exception else text)
            if pattern:
                self._rules.append((exception, _compile(pattern), pattern))

    @classmethod
    def of(cls, directory: Path, dockerfile: str) -> "Ignore":
        """The rules of a context: `<Dockerfile>.dockerignore`, or else `.dockerignore`."""
        for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
            path = directory / name
            if path.is_file():
                return cls(path.read_text("utf-8-sig").splitlines())
        return cls([])

    def excludes(self, path: str) -> bool:
        """Whether a path is left out; a rule on a directory holds for what is in it."""
        excluded = False
        for exception, pattern, _ in self._rules:
            if exception == excluded and pattern.match(path):
                excluded = not exception
        return excluded

    def may_include_below(self, path: str) -> bool:
        """Whether an exception could bring back something within an excluded directory."""
        return any(
            exception and (pattern.startswith((f"{path}/", "**", "*")) or "*" in pattern)
            for exception, _, pattern in self._rules
        )


def _clean(pattern: str) -> str:
    parts: list[str] = []
    for part in pattern.strip().split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _compile(pattern: str) -> "re.Pattern[str]":
    out, index = "", 0
    while index < len(pattern):
        if pattern.startswith("**/", index):
            out, index = out + "(?:.*/)?", index + 3
        elif pattern.startswith("**", index):
            out, index = out + ".*", index + 2
        elif pattern[index] == "*":
            out, index = out + "[^/]*", index + 1
        elif pattern[index] == "?":
            out, index = out + "[^/]", index + 1
        elif pattern[index] == "[" and "]" in pattern[index + 2 :]:
            end = pattern.index("]", index + 2)
            out, index = out + pattern[index : end + 1].replace("[!", "[^"), end + 1
        elif pattern[index] == "\\" and index + 1 < len(pattern):
            out, index = out + re.escape(pattern[index + 1]), index + 2
        else:
            out, index = out + re.escape(pattern[index]), index + 1
    return re.compile(f"{out}(?:/.*)?$", re.DOTALL)
