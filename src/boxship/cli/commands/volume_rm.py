"""`boxship volume rm`: remove one or more volumes."""

from boxship.cli.command import Command
from boxship.cli.each import each
from boxship.cli.flags import Flag, Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def remove(app: "App", parsed: Parsed) -> int:
    """Remove one or more volumes."""
    query = {"force": parsed.flag("force")}
    return each(app, parsed.args, lambda name: app.call("DELETE", f"/volumes/{name}", query))


COMMAND = Command(
    "[OPTIONS] VOLUME [VOLUME...]",
    "Remove one or more volumes",
    remove,
    (Flag("force", "bool", "Force the removal of one or more volumes", short="f"),),
    args=(1, None),
)
