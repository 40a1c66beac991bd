"""`boxship system prune`: remove everything that is not used."""

from boxship.cli.command import Command
from boxship.cli.confirm import confirm
from boxship.cli.filters import filters
from boxship.cli.flags import Flag, Parsed
from boxship.cli.format.human import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def prune(app: "App", parsed: Parsed) -> int:
    """Remove stopped containers, unused networks, images, build cache and, if asked, volumes."""
    everything, volumes = parsed.flag("all"), parsed.flag("volumes")
    if not parsed.flag("force") and not confirm(_warning(everything=everything, volumes=volumes)):
        return 0
    wanted = parsed.list("filter")
    steps = [
        ("/containers/prune", wanted, "ContainersDeleted", "Deleted Containers:"),
        ("/networks/prune", wanted, "NetworksDeleted", "Deleted Networks:"),
    ]
    if volumes:
        steps.append(("/volumes/prune", wanted, "VolumesDeleted", "Deleted Volumes:"))
    dangling = f"dangling={'false' if everything else 'true'}"
    steps += [
        ("/images/prune", [*wanted, dangling], "ImagesDeleted", "Deleted Images:"),
        ("/build/prune", wanted, "CachesDeleted", "Deleted build cache objects:"),
    ]
    reclaimed = 0
    for path, chosen, key, title in steps:
        report = app.call("POST", path, {"filters": filters(chosen)})
        reclaimed += report.get("SpaceReclaimed") or 0
        if report[key]:
            app.out(title)
            for item in report[key]:
                app.out(item if isinstance(item, str) else _image_line(item))
            app.out("")
    app.out(f"Total reclaimed space: {size(reclaimed)}")
    return 0


def _image_line(item: "dict[str, str]") -> str:
    if item.get("Untagged"):
        return f"untagged: {item['Untagged']}"
    return f"deleted: {item.get('Deleted', '')}"


def _warning(*, everything: bool, volumes: bool) -> str:
    lines = [
        "This will remove:",
        "  - all stopped containers",
        "  - all networks not used by at least one container",
    ]
    if volumes:
        lines.append("  - all anonymous volumes not used by at least one container")
    lines.append(
        "  - all images without at least one container associated to them"
        if everything
        else "  - all dangling images"
    )
    return "\n".join([*lines, "  - unused build cache", ""])


COMMAND = Command(
    "[OPTIONS]",
    "Remove unused data",
    prune,
    (
        Flag("all", "bool", "Remove all unused images not just dangling ones", short="a"),
        Flag("filter", "list", "Provide filter values (e.g. label=<key>=<value>)"),
        Flag("force", "bool", "Do not prompt for confirmation", short="f"),
        Flag("volumes", "bool", "Prune anonymous volumes"),
    ),
    args=(0, 0),
)
