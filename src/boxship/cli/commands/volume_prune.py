"""`boxship volume prune`: remove unused local volumes."""

from boxship.cli.command import Command
from boxship.cli.confirm import confirm
from boxship.cli.filters import filters
from boxship.cli.flags import Flag, Parsed
from boxship.cli.format.human import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App

_WARNING = "This will remove anonymous local volumes not used by at least one container."


def prune(app: "App", parsed: Parsed) -> int:
    """Remove unused local volumes."""
    if not parsed.flag("force") and not confirm(_WARNING):
        return 0
    wanted = list(parsed.list("filter"))
    if parsed.flag("all"):
        wanted.append("all=1")
    report = app.call("POST", "/volumes/prune", {"filters": filters(wanted)})
    if report["VolumesDeleted"]:
        app.out("Deleted Volumes:")
        for name in report["VolumesDeleted"]:
            app.out(name)
    app.out(f"\nTotal reclaimed space: {size(report['SpaceReclaimed'] or 0)}")
    return 0


COMMAND = Command(
    "[OPTIONS]",
    "Remove unused local volumes",
    prune,
    (
        Flag("all", "bool", "Remove all unused volumes, not just anonymous ones", short="a"),
        Flag("filter", "list", "Provide filter values (e.g. until=<timestamp>)"),
        Flag("force", "bool", "Do not prompt for confirmation", short="f"),
    ),
    args=(0, 0),
)
