"""`boxship image prune`: remove unused images."""

from boxship.cli.command import Command
from boxship.cli.confirm import confirm
from boxship.cli.filters import filters
from boxship.cli.flags import Flag, Parsed
from boxship.cli.format.human import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App

_DANGLING = "This will remove all dangling images."
_ALL = "This will remove all images without at least one container associated to them."


def prune(app: "App", parsed: Parsed) -> int:
    """Remove unused images."""
    everything = parsed.flag("all")
    if not parsed.flag("force") and not confirm(_ALL if everything else _DANGLING):
        return 0
    wanted = [*parsed.list("filter"), f"dangling={'false' if everything else 'true'}"]
    report = app.call("POST", "/images/prune", {"filters": filters(wanted)})
    if report["ImagesDeleted"]:
        app.out("Deleted Images:")
        for item in report["ImagesDeleted"]:
            for key in ("Untagged", "Deleted"):
                if item.get(key):
                    app.out(f"{key.lower()}: {item[key]}")
    app.out(f"\nTotal reclaimed space: {size(report['SpaceReclaimed'] or 0)}")
    return 0


COMMAND = Command(
    "[OPTIONS]",
    "Remove unused images",
    prune,
    (
        Flag("all", "bool", "Remove all unused images, not just dangling ones", short="a"),
        Flag("filter", "list", "Provide filter values (e.g. until=<timestamp>)"),
        Flag("force", "bool", "Do not prompt for confirmation", short="f"),
    ),
    args=(0, 0),
)
