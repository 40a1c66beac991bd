"""`boxship container inspect`: everything about containers."""

from boxship.cli.command import Command
from boxship.cli.commands.inspect import show
from boxship.cli.flags import Flag, Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def inspect(app: "App", parsed: Parsed) -> int:
    """Print documents; 1 when one was not found."""
    return show(app, parsed, ("container",))


COMMAND = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Display detailed information on one or more containers",
    inspect,
    (
        Flag("format", "text", "Format output using a template, or json", short="f"),
        Flag("size", "bool", "Display total file sizes", short="s"),
    ),
    args=(1, None),
)
