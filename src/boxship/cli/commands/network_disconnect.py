"""`boxship network disconnect`."""

from boxship.cli.command import Command
from boxship.cli.flags import Flag, Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def disconnect(app: "App", parsed: Parsed) -> int:
    """Disconnect a container from a network."""
    network, container = parsed.args
    body = {"Container": container, "Force": parsed.flag("force")}
    app.call("POST", f"/networks/{network}/disconnect", None, body)
    return 0


COMMAND = Command(
    "[OPTIONS] NETWORK CONTAINER",
    "Disconnect a container from a network",
    disconnect,
    (Flag("force", "bool", "Force the container to disconnect from a network", short="f"),),
    args=(2, 2),
)
