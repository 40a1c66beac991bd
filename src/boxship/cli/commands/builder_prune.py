"""`boxship builder prune`: remove build cache."""

from boxship.cli.command import Command
from boxship.cli.confirm import confirm
from boxship.cli.filters import filters
from boxship.cli.flags import Flag, Parsed
from boxship.cli.format.human import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App

_WARNING = "This will remove all dangling build cache."


def prune(app: "App", parsed: Parsed) -> int:
    """Remove build cache."""
    if not parsed.flag("force") and not confirm(_WARNING):
        return 0
    report = app.call(
        "POST",
        "/build/prune",
        {"filters": filters(parsed.list("filter")), "all": parsed.flag("all")},
    )
    if report["CachesDeleted"]:
        app.out("Deleted build cache objects:")
        for name in report["CachesDeleted"]:
            app.out(name)
    app.out(f"\nTotal reclaimed space: {size(report['SpaceReclaimed'] or 0)}")
    return 0


COMMAND = Command(
    "[OPTIONS]",
    "Remove build cache",
    prune,
    (
        Flag("all", "bool", "Remove all unused build cache", short="a"),
        Flag("filter", "list", "Provide filter values (e.g. until=<timestamp>)"),
        Flag("force", "bool", "Do not prompt for confirmation", short="f"),
    ),
    args=(0, 0),
)
