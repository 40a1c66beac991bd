"""Command-line flags as Docker's users type them.

`--name value`, `--name=value`, `-n value`, `-nvalue`, `-it`, `--rm=false`, `--` to end them. Not
argparse: that costs 8 ms, and reads `run IMAGE -x` as a flag of `run`.
"""

from boxship.errors import InvalidArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TRUE = ("1", "t", "T", "true", "True", "TRUE")
_FALSE = ("0", "f", "F", "false", "False", "FALSE")


class UsageError(InvalidArgumentError):
    """The command line is wrong; the user is shown how to get help."""

    kind = "usage"


class Flag:
    """One flag.

    Attributes:
        name: long name without dashes.
        kind: `bool`, `text`, `int` or `list` (may be given several times).
        short: one letter, or empty.
        default: value when it is absent.
        value: what the help calls its value.
        text: one line of help.
    """

    __slots__ = ("default", "kind", "name", "short", "text", "value")

    def __init__(
        self,
        name: str,
        kind: str = "text",
        text: str = "",
        *,
        short: str = "",
        default: "str | int | bool | None" = None,
        value: str = "",
    ) -> None:
        self.name = name
        self.kind = kind
        self.text = text
        self.short = short
        self.default = default
        self.value = value or {"bool": "", "text": "string"}.get(kind, kind)


class Parsed:
    """What a command line said.

    Attributes:
        args: the positional arguments.
        given: names of the flags that were there.
    """

    __slots__ = ("_values", "args", "given")

    def __init__(self, flags: "Iterable[Flag]") -> None:
        self._values: dict[str, object] = {
            flag.name: [] if flag.kind == "list" else flag.default for flag in flags
        }
        self.args: list[str] = []
        self.given: set[str] = set()

    def put(self, flag: Flag, text: str) -> None:
        """Take one occurrence of a flag.

        Raises:
            UsageError: the value is not of the flag's kind.
        """
        self.given.add(flag.name)
        if flag.kind == "list":
            self.list(flag.name).append(text)
        elif flag.kind == "int":
            self._values[flag.name] = _integer(flag, text)
        elif flag.kind == "bool":
            self._values[flag.name] = _boolean(flag, text)
        else:
            self._values[flag.name] = text

    def text(self, name: str) -> str:
        value = self._values[name]
        return "" if value is None else str(value)

    def flag(self, name: str) -> bool:
        return bool(self._values[name])

    def integer(self, name: str) -> "int | None":
        value = self._values[name]
        return value if isinstance(value, int) else None

    def list(self, name: str) -> "list[str]":
        value = self._values[name]
        assert isinstance(value, list)  # noqa: S101 - for the type checker
        return value


def parse(flags: "Sequence[Flag]", words: "Sequence[str]", *, interspersed: bool = True) -> Parsed:
    """Read a command line.

    Args:
        flags: what is known.
        words: what was typed after the command's name.
        interspersed: whether flags may follow positional arguments; `run` and `exec` say no,
            for what follows the image belongs to the container.

    Raises:
        UsageError: an unknown flag, a missing or a wrong value.
    """
    by_name = {flag.name: flag for flag in flags}
    by_short = {flag.short: flag for flag in flags if flag.short}
    parsed = Parsed(flags)
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            parsed.args += rest
            break
        if word.startswith("--"):
            _long(parsed, by_name, word, rest)
        elif word.startswith("-") and word != "-":
            _shorts(parsed, by_short, word, rest)
        elif interspersed:
            parsed.args.append(word)
        else:
            parsed.args += [word, *rest]
            break
    return parsed


def _long(parsed: Parsed, by_name: "dict[str, Flag]", word: str, rest: "list[str]") -> None:
    name, equals, value = word[2:].partition("=")
    flag = by_name.get(name)
    if flag is None:
        raise UsageError(f"unknown flag: --{name}")
    if equals:
        parsed.put(flag, value)
    elif flag.kind == "bool":
        parsed.put(flag, "true")
    elif rest:
        parsed.put(flag, rest.pop(0))
    else:
        raise UsageError(f"flag needs an argument: --{name}")


def _shorts(parsed: Parsed, by_short: "dict[str, Flag]", word: str, rest: "list[str]") -> None:
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = by_short.get(letter)
        if flag is None:
            raise UsageError(f"unknown shorthand flag: '{letter}' in {word}")
        if flag.kind == "bool" and not letters.startswith("="):
            parsed.put(flag, "true")
            continue
        if letters:
            parsed.put(flag, letters.removeprefix("="))
        elif rest:
            parsed.put(flag, rest.pop(0))
        else:
            raise UsageError(f"flag needs an argument: '{letter}' in {word}")
        return


def _integer(flag: Flag, text: str) -> int:
    try:
        return int(text, 0)
    except ValueError as error:
        raise UsageError(
            f'invalid argument "{text}" for "--{flag.name}" flag: want a whole number'
        ) from error


def _boolean(flag: Flag, text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise UsageError(f'invalid argument "{text}" for "--{flag.name}" flag: want true or false')
