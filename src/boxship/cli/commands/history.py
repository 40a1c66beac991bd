"""`boxship history`: how an image was made."""

import time

from boxship.cli.command import Command
from boxship.cli.flags import Flag, Parsed
from boxship.cli.format.human import ago, ellipsis, short_id, size
from boxship.cli.format.tables import Layout, listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.cli.app import App

_HEADERS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
_COLUMNS = ("ID", "CreatedSince", "CreatedBy", "Size", "Comment")


def history(app: "App", parsed: Parsed) -> int:
    """Show the layers of an image, newest first."""
    found = app.call("GET", f"/images/{parsed.args[0]}/history")
    whole, human = parsed.flag("no-trunc"), parsed.flag("human")
    if parsed.flag("quiet"):
        for item in found:
            app.out(item["Id"] if whole else short_id(item["Id"]))
        return 0
    rows = [_row(item, whole=whole, human=human) for item in found]
    app.write(listing(rows, Layout(_HEADERS, _COLUMNS), parsed.text("format")))
    return 0


def _row(item: "dict[str, Any]", *, whole: bool, human: bool) -> "dict[str, object]":
    created_by = " ".join(item["CreatedBy"].split())
    at = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(item["Created"]))
    since = ago(time.time() - item["Created"])  # noqa: TID251 - this is the clock
    return {
        "ID": item["Id"] if whole else short_id(item["Id"]),
        "CreatedSince": since if human else at,
        "CreatedAt": at,
        "CreatedBy": created_by if whole else ellipsis(created_by, 45),
        "Size": size(item["Size"]) if human else item["Size"],
        "Comment": item["Comment"],
    }


COMMAND = Command(
    "[OPTIONS] IMAGE",
    "Show the history of an image",
    history,
    (
        Flag("format", "text", "Format output using a template, or table or json"),
        Flag("human", "bool", "Print sizes and dates in readable form", short="H", default=True),
        Flag("no-trunc", "bool", "Don't truncate output"),
        Flag("quiet", "bool", "Only show image IDs", short="q"),
    ),
    args=(1, 1),
)
