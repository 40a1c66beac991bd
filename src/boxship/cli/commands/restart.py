"""`boxship restart`: restart one or more containers."""

from boxship.cli.command import Command
from boxship.cli.each import each
from boxship.cli.flags import Flag, Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def restart(app: "App", parsed: Parsed) -> int:
    """Restart one or more containers."""
    grace = parsed.integer("time")
    query = {
        "t": parsed.integer("timeout") if grace is None else grace,
        "signal": parsed.text("signal") or None,
    }
    return each(
        app, parsed.args, lambda name: app.call("POST", f"/containers/{name}/restart", query)
    )


COMMAND = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Restart one or more containers",
    restart,
    (
        Flag("signal", "text", "Signal to send to the container", short="s"),
        Flag("time", "int", "Seconds to wait before killing the container", short="t"),
        Flag("timeout", "int", "Seconds to wait before killing the container"),
    ),
    args=(1, None),
)
