"""`boxship ps`: list containers."""

import time

from boxship.cli.command import Command
from boxship.cli.filters import filters
from boxship.cli.flags import Flag, Parsed
from boxship.cli.format.human import ago, ellipsis, short_id, size
from boxship.cli.format.tables import Layout, listing
from boxship.client.documents import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.cli.app import App

_HEADERS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
    "Names": "NAMES",
    "Size": "SIZE",
    "CreatedAt": "CREATED AT",
    "State": "STATE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "Networks": "NETWORKS",
    "LocalVolumes": "LOCAL VOLUMES",
}
_COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")


def ps(app: "App", parsed: Parsed) -> int:
    """List containers."""
    last = parsed.integer("last")
    latest = parsed.flag("latest")
    query = {
        "all": parsed.flag("all"),
        "limit": 1 if latest else (last if last and last > 0 else None),
        "size": parsed.flag("size") or None,
        "filters": filters(parsed.list("filter")),
    }
    found = app.call("GET", "/containers/json", query)
    whole = parsed.flag("no-trunc")
    if parsed.flag("quiet"):
        for item in found:
            app.out(item["Id"] if whole else short_id(item["Id"]))
        return 0
    columns = (*_COLUMNS, "Size") if parsed.flag("size") else _COLUMNS
    rows = [row(item, whole=whole) for item in found]
    app.write(listing(rows, Layout(_HEADERS, columns), parsed.text("format")))
    return 0


def row(item: "dict[str, Any]", *, whole: bool) -> "dict[str, object]":
    """Everything a template may name about one container."""
    command = item["Command"] if whole else ellipsis(item["Command"], 20)
    names = [name.lstrip("/") for name in item["Names"] or () if name.count("/") == 1]
    mounts = [mount.get("Name") or mount["Source"] for mount in item.get("Mounts") or ()]
    settings = item.get("NetworkSettings") or {}
    written = size(item.get("SizeRw") or 0)
    if item.get("SizeRootFs"):
        written += f" (virtual {size(item['SizeRootFs'])})"
    created = time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(item["Created"]))
    image = item["Image"]
    return {
        "ID": item["Id"] if whole else short_id(item["Id"]),
        "Image": short_id(image) if image.startswith("sha256:") and not whole else image,
        "Command": quoted(command),
        "RunningFor": ago(time.time() - item["Created"]),  # noqa: TID251 - this is the clock
        "Status": item["Status"],
        "State": item["State"],
        "Ports": ports(item["Ports"] or ()),
        "Names": ",".join(names),
        "Size": written,
        "CreatedAt": created,
        "Labels": ",".join(f"{key}={value}" for key, value in (item["Labels"] or {}).items()),
        "Mounts": ",".join(mounts if whole else [ellipsis(mount, 15) for mount in mounts]),
        "Networks": ",".join(settings.get("Networks") or {}),
        "LocalVolumes": sum(1 for mount in item.get("Mounts") or () if mount.get("Name")),
    }


def ports(items: "Any") -> str:
    """`0.0.0.0:8080->80/tcp, 443/tcp`, neighbouring ports as ranges."""
    shown = []
    for item in sorted(items, key=_port_order):
        address = item.get("IP") or ""
        if item.get("PublicPort"):
            host = f"[{address}]" if ":" in address else address
            shown.append((f"{host}:", item["PublicPort"], item["PrivatePort"], item["Type"]))
        else:
            shown.append(("", 0, item["PrivatePort"], item["Type"]))
    return ", ".join(_range(group) for group in _groups(shown))


def _port_order(item: "dict[str, Any]") -> "tuple[str, str, int, int]":
    return (item["Type"], item.get("IP") or "~", item["PrivatePort"], item.get("PublicPort") or 0)


def _groups(shown: "list[tuple[str, int, int, str]]") -> "list[list[tuple[str, int, int, str]]]":
    groups: list[list[tuple[str, int, int, str]]] = []
    for item in shown:
        last = groups[-1][-1] if groups else None
        follows = (
            last is not None
            and (last[0], last[3]) == (item[0], item[3])
            and item[2] == last[2] + 1
            and item[1] == (last[1] + 1 if last[1] else 0)
        )
        if follows:
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def _range(group: "list[tuple[str, int, int, str]]") -> str:
    host, public, private, protocol = group[0]
    _, last_public, last_private, _ = group[-1]
    inner = str(private) if len(group) == 1 else f"{private}-{last_private}"
    if not public:
        return f"{inner}/{protocol}"
    outer = str(public) if len(group) == 1 else f"{public}-{last_public}"
    return f"{host}{outer}->{inner}/{protocol}"


COMMAND = Command(
    "[OPTIONS]",
    "List containers",
    ps,
    (
        Flag("all", "bool", "Show all containers (default shows just running)", short="a"),
        Flag("filter", "list", "Filter output based on conditions provided", short="f"),
        Flag("format", "text", "Format output using a template, or table or json"),
        Flag("last", "int", "Show n last created containers", short="n", default=-1),
        Flag("latest", "bool", "Show the latest created container", short="l"),
        Flag("no-trunc", "bool", "Don't truncate output"),
        Flag("quiet", "bool", "Only display container IDs", short="q"),
        Flag("size", "bool", "Display total file sizes", short="s"),
    ),
    args=(0, 0),
)
