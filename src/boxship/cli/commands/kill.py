"""`boxship kill`: kill one or more running containers."""

from boxship.cli.command import Command
from boxship.cli.each import each
from boxship.cli.flags import Flag, Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def kill(app: "App", parsed: Parsed) -> int:
    """Kill one or more running containers."""
    query = {"signal": parsed.text("signal") or None}
    return each(app, parsed.args, lambda name: app.call("POST", f"/containers/{name}/kill", query))


COMMAND = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Kill one or more running containers",
    kill,
    (Flag("signal", "text", "Signal to send to the container", short="s"),),
    args=(1, None),
)
