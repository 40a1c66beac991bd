"""`boxship container prune`: remove all stopped containers."""

from boxship.cli.command import Command
from boxship.cli.confirm import confirm
from boxship.cli.filters import filters
from boxship.cli.flags import Flag, Parsed
from boxship.cli.format.human import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App

_WARNING = "This will remove all stopped containers."


def prune(app: "App", parsed: Parsed) -> int:
    """Remove all stopped containers."""
    if not parsed.flag("force") and not confirm(_WARNING):
        return 0
    report = app.call("POST", "/containers/prune", {"filters": filters(parsed.list("filter"))})
    if report["ContainersDeleted"]:
        app.out("Deleted Containers:")
        for name in report["ContainersDeleted"]:
            app.out(name)
    app.out(f"\nTotal reclaimed space: {size(report['SpaceReclaimed'] or 0)}")
    return 0


COMMAND = Command(
    "[OPTIONS]",
    "Remove all stopped containers",
    prune,
    (
        Flag("filter", "list", "Provide filter values (e.g. until=<timestamp>)"),
        Flag("force", "bool", "Do not prompt for confirmation", short="f"),
    ),
    args=(0, 0),
)
