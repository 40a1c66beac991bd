"""`boxship stop`: stop one or more running containers."""

from boxship.cli.command import Command
from boxship.cli.each import each
from boxship.cli.flags import Flag, Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def stop(app: "App", parsed: Parsed) -> int:
    """Stop one or more running containers."""
    grace = parsed.integer("time")
    query = {
        "t": parsed.integer("timeout") if grace is None else grace,
        "signal": parsed.text("signal") or None,
    }
    return each(app, parsed.args, lambda name: app.call("POST", f"/containers/{name}/stop", query))


COMMAND = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Stop one or more running containers",
    stop,
    (
        Flag("signal", "text", "Signal to send to the container", short="s"),
        Flag("time", "int", "Seconds to wait before killing the container", short="t"),
        Flag("timeout", "int", "Seconds to wait before killing the container"),
    ),
    args=(1, None),
)
