"""Command lines of `boxship-runtime`: a small parser, since argparse costs as much as a container.

Options are written `--name value`, `--name=value` or `-n value`; they end at the first word that is
none, as with runc.
"""

from boxship.errors import InvalidArgumentError


class Option:
    """An option a command knows.

    Attributes:
        name: long name without dashes.
        short: one letter, or empty.
        takes_value: it is followed by a value; a switch otherwise.
        repeated: it may be given more than once.
        help: one line.
    """

    __slots__ = ("help", "name", "repeated", "short", "takes_value")

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002
        *,
        short: str = "",
        switch: bool = False,
        repeated: bool = False,
    ) -> None:
        self.name = name
        self.help = help
        self.short = short
        self.takes_value = not switch
        self.repeated = repeated


class Arguments:
    """A parsed command line."""

    __slots__ = ("_values", "rest")

    def __init__(self) -> None:
        self._values: dict[str, list[str]] = {}
        self.rest: list[str] = []

    def add(self, name: str, value: str) -> None:
        self._values.setdefault(name, []).append(value)

    def text(self, name: str, default: str = "") -> str:
        """The last value given for an option."""
        return self._values.get(name, [default])[-1]

    def every(self, name: str) -> "list[str]":
        """All values given for an option."""
        return self._values.get(name, [])

    def has(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.text(name, "false") in ("", "true", "1", "t", "T", "TRUE", "True")

    def number(self, name: str, default: int = 0) -> int:
        """A value as a whole number.

        Raises:
            InvalidArgumentError: it is none.
        """
        text = self.text(name)
        if not text:
            return default
        try:
            return int(text)
        except ValueError as error:
            raise InvalidArgumentError(f"--{name} needs a number, not {text!r}") from error


def parse(words: "list[str]", options: "tuple[Option, ...]") -> Arguments:
    """Split a command line.

    Raises:
        InvalidArgumentError: an unknown option, or a missing value.
    """
    known = {f"--{option.name}": option for option in options}
    known.update({f"-{option.name}": option for option in options})
    known.update({f"-{option.short}": option for option in options if option.short})
    arguments = Arguments()
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == "--":
            break
        if not word.startswith("-") or word == "-":
            position -= 1
            break
        name, equals, value = word.partition("=")
        option = known.get(name)
        if option is None:
            for letter in _letters(word, known):
                arguments.add(letter.name, "")
            continue
        if option.takes_value and not equals:
            if position == len(words):
                raise InvalidArgumentError(f"option {name} needs a value")
            value = words[position]
            position += 1
        arguments.add(option.name, value)
    arguments.rest = words[position:]
    return arguments


def _letters(word: str, known: "dict[str, Option]") -> "list[Option]":
    """The switches of a word such as `-td`.

    Raises:
        InvalidArgumentError: it is no such word.
    """
    switches = [known.get(f"-{letter}") for letter in word[1:]]
    found = [option for option in switches if option is not None and not option.takes_value]
    if word.startswith("--") or len(found) != len(word) - 1:
        name = word.partition("=")[0]
        raise InvalidArgumentError(f"unknown option {name}", hint="see --help")
    return found
