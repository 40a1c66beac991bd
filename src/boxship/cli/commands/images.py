"""`boxship images`: list images."""

import time

from boxship.cli.command import Command
from boxship.cli.filters import filters
from boxship.cli.flags import Flag, Parsed
from boxship.cli.format.human import ago, short_id, size
from boxship.cli.format.tables import Layout, listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.cli.app import App

_HEADERS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "VirtualSize": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "Containers": "CONTAINERS",
}
_COLUMNS = ("Repository", "Tag", "ID", "CreatedSince", "Size")


def images(app: "App", parsed: Parsed) -> int:
    """List images."""
    wanted = list(parsed.list("filter"))
    if parsed.args:
        wanted.append(f"reference={parsed.args[0]}")
    query = {"all": parsed.flag("all"), "filters": filters(wanted)}
    found = app.call("GET", "/images/json", query)
    whole, digests = parsed.flag("no-trunc"), parsed.flag("digests")
    rows = [row for item in found for row in _rows(item, whole=whole)]
    if parsed.flag("quiet"):
        for row in rows:
            app.out(str(row["ID"]))
        return 0
    columns = ("Repository", "Tag", "Digest", *_COLUMNS[2:]) if digests else _COLUMNS
    app.write(listing(rows, Layout(_HEADERS, columns), parsed.text("format")))
    return 0


def _rows(item: "dict[str, Any]", *, whole: bool) -> "list[dict[str, object]]":
    names = [_split(tag) for tag in item["RepoTags"] or () if tag != "<none>:<none>"]
    by_name = {
        name: digest
        for name, _, digest in (text.partition("@") for text in item["RepoDigests"] or ())
    }
    if not names:
        names = [(name, "<none>") for name in by_name] or [("<none>", "<none>")]
    shown = size(item["Size"])
    common = {
        "ID": item["Id"] if whole else short_id(item["Id"]),
        "CreatedSince": ago(time.time() - item["Created"]),  # noqa: TID251 - this is the clock
        "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(item["Created"])),
        "Size": shown,
        "VirtualSize": shown,
        "SharedSize": "N/A",
        "UniqueSize": "N/A",
        "Containers": "N/A" if item.get("Containers", -1) < 0 else item["Containers"],
    }
    return [
        {"Repository": name, "Tag": tag, "Digest": by_name.get(name, "<none>"), **common}
        for name, tag in names
    ]


def _split(text: str) -> "tuple[str, str]":
    name, _, tag = text.rpartition(":")
    return name, tag


COMMAND = Command(
    "[OPTIONS] [REPOSITORY[:TAG]]",
    "List images",
    images,
    (
        Flag("all", "bool", "Show all images (default hides intermediate images)", short="a"),
        Flag("digests", "bool", "Show digests"),
        Flag("filter", "list", "Filter output based on conditions provided", short="f"),
        Flag("format", "text", "Format output using a template, or table or json"),
        Flag("no-trunc", "bool", "Don't truncate output"),
        Flag("quiet", "bool", "Only show image IDs", short="q"),
    ),
    args=(0, 1),
)
