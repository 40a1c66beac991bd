"""What a command is: its words, its flags, and what it does."""

from boxship.cli.flags import Flag, Parsed, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from boxship.cli.app import App

    Action = Callable[[App, Parsed], int]

_HELP_COLUMN = 28


class Command:
    """One command; every module of `boxship.cli.commands` ends with one named COMMAND.

    Attributes:
        name: its words, as typed: `run`, `network create`; set when it is looked up.
        usage: what follows the name: `[OPTIONS] IMAGE [COMMAND] [ARG...]`.
        summary: one line for the list of commands.
        action: does it; the result is the exit code.
        flags: what it takes.
        least: fewest positional arguments.
        most: most positional arguments; None for any number.
        interspersed: whether flags may come after arguments.
        raw: whether all words go to the action unread (`daemon` has a parser of its own).
    """

    __slots__ = (
        "action",
        "flags",
        "interspersed",
        "least",
        "most",
        "name",
        "raw",
        "summary",
        "usage",
    )

    def __init__(  # noqa: PLR0913 - what describes a command
        self,
        usage: str,
        summary: str,
        action: "Action",
        flags: "tuple[Flag, ...]" = (),
        *,
        args: "tuple[int, int | None]" = (0, None),
        interspersed: bool = True,
        raw: bool = False,
    ) -> None:
        self.name = ""
        self.usage = usage
        self.summary = summary
        self.action = action
        self.flags = (*flags, Flag("help", "bool", "Print usage"))
        self.least, self.most = args
        self.interspersed = interspersed
        self.raw = raw

    def check(self, parsed: Parsed) -> None:
        """Check the number of arguments.

        Raises:
            UsageError: too few or too many, in Docker's words.
        """
        count = len(parsed.args)
        if count < self.least:
            if self.most == self.least:
                wanted = f"{self.least} argument" + ("s" if self.least > 1 else "")
            else:
                wanted = f"at least {self.least} argument" + ("s" if self.least > 1 else "")
        elif self.most is not None and count > self.most:
            if self.most == 0:
                raise UsageError(f'"boxship {self.name}" accepts no arguments')
            exact = "" if self.most == self.least else "at most "
            wanted = f"{exact}{self.most} argument" + ("s" if self.most > 1 else "")
        else:
            return
        raise UsageError(f'"boxship {self.name}" requires {wanted}')

    def help(self) -> str:
        """The text of `--help`."""
        lines = ["", f"Usage:  boxship {self.name} {self.usage}".rstrip(), "", self.summary]
        lines += ["", "Options:"]
        for flag in sorted(self.flags, key=lambda flag: flag.name):
            short = f"-{flag.short}, " if flag.short else "    "
            head = f"  {short}--{flag.name} {flag.value}".rstrip()
            lines.append(f"{head:<{_HELP_COLUMN}} {flag.text}".rstrip())
        return "\n".join(lines) + "\n"
