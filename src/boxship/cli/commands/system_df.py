"""`boxship system df`: what takes disk space."""

from boxship.cli.command import Command
from boxship.cli.flags import Flag, Parsed
from boxship.cli.format.human import short_id, size
from boxship.cli.format.tables import Layout, listing, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.cli.app import App

_HEADERS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}


def disk_usage(app: "App", parsed: Parsed) -> int:
    """Show the use of disk by kind, or of every object with -v."""
    usage = app.call("GET", "/system/df")
    if parsed.flag("verbose"):
        _verbose(app, usage)
        return 0
    rows = [_images(usage), _containers(usage), _volumes(usage), _cache(usage)]
    app.write(listing(rows, Layout(_HEADERS, tuple(_HEADERS)), parsed.text("format")))
    return 0


def _row(kind: str, total: int, active: int, taken: int, reclaimable: int) -> "dict[str, object]":
    share = f" ({reclaimable * 100 // taken}%)" if taken else ""
    return {
        "Type": kind,
        "TotalCount": total,
        "Active": active,
        "Size": size(taken, 4),
        "Reclaimable": f"{size(reclaimable, 4)}{share}",
    }


def _images(usage: "dict[str, Any]") -> "dict[str, object]":
    images = usage["Images"] or []
    used = [image for image in images if image["Containers"] > 0]
    in_use = max((image["Size"] for image in used), default=0)
    total = usage["LayersSize"]
    return _row("Images", len(images), len(used), total, max(total - in_use, 0))


def _containers(usage: "dict[str, Any]") -> "dict[str, object]":
    containers = usage["Containers"] or []
    active = [item for item in containers if item["State"] in ("running", "paused", "restarting")]
    total = sum(item.get("SizeRw") or 0 for item in containers)
    running = sum(item.get("SizeRw") or 0 for item in active)
    return _row("Containers", len(containers), len(active), total, total - running)


def _volumes(usage: "dict[str, Any]") -> "dict[str, object]":
    volumes = usage["Volumes"] or []
    used = [volume for volume in volumes if volume["UsageData"]["RefCount"] > 0]
    total = sum(volume["UsageData"]["Size"] for volume in volumes)
    active = sum(volume["UsageData"]["Size"] for volume in used)
    return _row("Local Volumes", len(volumes), len(used), total, total - active)


def _cache(usage: "dict[str, Any]") -> "dict[str, object]":
    entries = usage["BuildCache"] or []
    total = sum(entry["Size"] for entry in entries)
    return _row("Build Cache", len(entries), 0, total, total)


def _verbose(app: "App", usage: "dict[str, Any]") -> None:
    app.out("Images space usage:\n")
    images = [
        [
            (image["RepoTags"] or ["<none>"])[0],
            short_id(image["Id"]),
            size(image["Size"]),
            str(image["Containers"]),
        ]
        for image in usage["Images"] or ()
    ]
    app.write(table(["REPOSITORY:TAG", "IMAGE ID", "SIZE", "CONTAINERS"], images))
    app.out("\nContainers space usage:\n")
    containers = [
        [short_id(item["Id"]), item["Image"], size(item.get("SizeRw") or 0), item["Status"]]
        for item in usage["Containers"] or ()
    ]
    app.write(table(["CONTAINER ID", "IMAGE", "SIZE", "STATUS"], containers))
    app.out("\nLocal Volumes space usage:\n")
    volumes = [
        [item["Name"], str(item["UsageData"]["RefCount"]), size(item["UsageData"]["Size"])]
        for item in usage["Volumes"] or ()
    ]
    app.write(table(["VOLUME NAME", "LINKS", "SIZE"], volumes))
    app.out(f"\nBuild cache usage: {_cache(usage)['Size']}")


COMMAND = Command(
    "[OPTIONS]",
    "Show disk usage",
    disk_usage,
    (
        Flag("format", "text", "Format output using a template, or table or json"),
        Flag("verbose", "bool", "Show detailed information on space usage", short="v"),
    ),
    args=(0, 0),
)
