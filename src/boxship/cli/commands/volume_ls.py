"""`boxship volume ls`."""

from boxship.cli.command import Command
from boxship.cli.filters import filters
from boxship.cli.flags import Flag, Parsed
from boxship.cli.format.tables import Layout, listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App

_HEADERS = {
    "Driver": "DRIVER",
    "Name": "VOLUME NAME",
    "Scope": "SCOPE",
    "Mountpoint": "MOUNTPOINT",
    "Labels": "LABELS",
    "Size": "SIZE",
}
_COLUMNS = ("Driver", "Name")


def volumes(app: "App", parsed: Parsed) -> int:
    """List volumes by name."""
    answer = app.call("GET", "/volumes", {"filters": filters(parsed.list("filter"))})
    rows = [
        {
            "Driver": item["Driver"],
            "Name": item["Name"],
            "Scope": item["Scope"],
            "Mountpoint": item["Mountpoint"],
            "Labels": ",".join(f"{key}={value}" for key, value in (item["Labels"] or {}).items()),
            "Size": "N/A",
        }
        for item in sorted(answer["Volumes"] or (), key=lambda item: str(item["Name"]))
    ]
    if parsed.flag("quiet"):
        for row in rows:
            app.out(row["Name"])
        return 0
    app.write(listing(rows, Layout(_HEADERS, _COLUMNS), parsed.text("format")))
    return 0


COMMAND = Command(
    "[OPTIONS]",
    "List volumes",
    volumes,
    (
        Flag("filter", "list", "Provide filter values (e.g. dangling=true)", short="f"),
        Flag("format", "text", "Format output using a template, or table or json"),
        Flag("quiet", "bool", "Only display volume names", short="q"),
    ),
    args=(0, 0),
)
