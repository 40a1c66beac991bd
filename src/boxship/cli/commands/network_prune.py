"""`boxship network prune`: remove all unused networks."""

from boxship.cli.command import Command
from boxship.cli.confirm import confirm
from boxship.cli.filters import filters
from boxship.cli.flags import Flag, Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App

_WARNING = "This will remove all custom networks not used by at least one container."


def prune(app: "App", parsed: Parsed) -> int:
    """Remove all unused networks."""
    if not parsed.flag("force") and not confirm(_WARNING):
        return 0
    report = app.call("POST", "/networks/prune", {"filters": filters(parsed.list("filter"))})
    if report["NetworksDeleted"]:
        app.out("Deleted Networks:")
        for name in report["NetworksDeleted"]:
            app.out(name)
    return 0


COMMAND = Command(
    "[OPTIONS]",
    "Remove all unused networks",
    prune,
    (
        Flag("filter", "list", "Provide filter values (e.g. until=<timestamp>)"),
        Flag("force", "bool", "Do not prompt for confirmation", short="f"),
    ),
    args=(0, 0),
)
