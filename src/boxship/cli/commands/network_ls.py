"""`boxship network ls`."""

from boxship.cli.command import Command
from boxship.cli.filters import filters
from boxship.cli.flags import Flag, Parsed
from boxship.cli.format.human import short_id
from boxship.cli.format.tables import Layout, listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App

_HEADERS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
}
_COLUMNS = ("ID", "Name", "Driver", "Scope")


def networks(app: "App", parsed: Parsed) -> int:
    """List networks by name."""
    found = app.call("GET", "/networks", {"filters": filters(parsed.list("filter"))})
    whole = parsed.flag("no-trunc")
    rows = [
        {
            "ID": item["Id"] if whole else short_id(item["Id"]),
            "Name": item["Name"],
            "Driver": item["Driver"],
            "Scope": item["Scope"],
            "IPv6": item["EnableIPv6"],
            "Internal": item["Internal"],
            "Labels": ",".join(f"{key}={value}" for key, value in (item["Labels"] or {}).items()),
            "CreatedAt": item["Created"],
        }
        for item in sorted(found, key=lambda item: str(item["Name"]))
    ]
    if parsed.flag("quiet"):
        for row in rows:
            app.out(str(row["ID"]))
        return 0
    app.write(listing(rows, Layout(_HEADERS, _COLUMNS), parsed.text("format")))
    return 0


COMMAND = Command(
    "[OPTIONS]",
    "List networks",
    networks,
    (
        Flag("filter", "list", "Provide filter values (e.g. driver=bridge)", short="f"),
        Flag("format", "text", "Format output using a template, or table or json"),
        Flag("no-trunc", "bool", "Do not truncate the output"),
        Flag("quiet", "bool", "Only display network IDs", short="q"),
    ),
    args=(0, 0),
)
