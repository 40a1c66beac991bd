"""`boxship events`: what happens in the engine, as it happens."""

import sys
import time

from boxship.cli.command import Command
from boxship.cli.filters import filters
from boxship.cli.flags import Flag, Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.cli.app import App


def events(app: "App", parsed: Parsed) -> int:
    """Print events until interrupted, or until --until."""
    query = {
        "since": parsed.text("since") or None,
        "until": parsed.text("until") or None,
        "filters": filters(parsed.list("filter")),
    }
    layout = parsed.text("format")
    template = None
    if layout:
        from boxship.cli.format.template import Template  # noqa: PLC0415 - few calls need it

        template = Template("{{json .}}" if layout == "json" else layout)
    for event in app.request("GET", "/events", query).documents():
        app.out(template.render(event) if template else _line(event))
        sys.stdout.flush()
    return 0


def _line(event: "dict[str, Any]") -> str:
    """`TIME TYPE ACTION ID (key=value, ...)`."""
    seconds, rest = divmod(event["timeNano"], 1_000_000_000)
    zone = time.strftime("%z", time.localtime(seconds))
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
    actor = event["Actor"]
    attributes = ", ".join(f"{key}={value}" for key, value in sorted(actor["Attributes"].items()))
    when = f"{stamp}.{rest:09d}{zone[:3]}:{zone[3:]}"
    head = f"{when} {event['Type']} {event['Action']} {actor['ID']}"
    return f"{head} ({attributes})" if attributes else head


COMMAND = Command(
    "[OPTIONS]",
    "Get real time events from the engine",
    events,
    (
        Flag("filter", "list", "Filter output based on conditions provided", short="f"),
        Flag("format", "text", "Format output using a template, or json"),
        Flag("since", "text", "Show all events created since timestamp"),
        Flag("until", "text", "Stream events until this timestamp"),
    ),
    args=(0, 0),
)
