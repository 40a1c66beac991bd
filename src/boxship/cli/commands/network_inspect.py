"""`boxship network inspect`: everything about networks."""

from boxship.cli.command import Command
from boxship.cli.commands.inspect import show
from boxship.cli.flags import Flag, Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def inspect(app: "App", parsed: Parsed) -> int:
    """Print documents; 1 when one was not found."""
    return show(app, parsed, ("network",))


COMMAND = Command(
    "[OPTIONS] NETWORK [NETWORK...]",
    "Display detailed information on one or more networks",
    inspect,
    (
        Flag("format", "text", "Format output using a template, or json", short="f"),
        Flag("verbose", "bool", "Verbose output for diagnostics", short="v"),
    ),
    args=(1, None),
)
