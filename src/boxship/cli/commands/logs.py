"""`boxship logs`: a container's output so far, and what follows."""

from boxship.cli.attached import Demultiplexer, write_all
from boxship.cli.command import Command
from boxship.cli.flags import Flag, Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App
    from boxship.client.connection import Query


def logs(app: "App", parsed: Parsed) -> int:
    """Print the output."""
    name = parsed.args[0]
    tty = app.call("GET", f"/containers/{name}/json")["Config"]["Tty"]
    query: Query = {
        "stdout": True,
        "stderr": True,
        "follow": parsed.flag("follow"),
        "timestamps": parsed.flag("timestamps"),
        "tail": parsed.text("tail"),
        "since": parsed.text("since") or None,
        "until": parsed.text("until") or None,
    }
    answer = app.request("GET", f"/containers/{name}/logs", query)
    frames = Demultiplexer()
    for data in answer.chunks():
        if tty:
            write_all(1, data)
            continue
        for stream, payload in frames.feed(data):
            write_all(2 if stream == 2 else 1, payload)
    return 0


COMMAND = Command(
    "[OPTIONS] CONTAINER",
    "Fetch the logs of a container",
    logs,
    (
        Flag("details", "bool", "Show extra details provided to logs"),
        Flag("follow", "bool", "Follow log output", short="f"),
        Flag("since", "text", "Show logs since timestamp or relative (e.g. 42m)"),
        Flag("tail", "text", "Number of lines to show from the end", short="n", default="all"),
        Flag("timestamps", "bool", "Show timestamps", short="t"),
        Flag("until", "text", "Show logs before a timestamp or relative (e.g. 42m)"),
    ),
    args=(1, 1),
)
