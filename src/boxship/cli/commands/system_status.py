"""`boxship system status`: whether a daemon answers, and what it is busy with."""

from boxship.cli.command import Command
from boxship.cli.flags import Parsed
from boxship.client.connection import Connection, NoEngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def status(app: "App", _parsed: Parsed) -> int:
    """Print the daemon's state; 3 when none runs, as service managers say it."""
    try:
        connection = Connection(app.address)
    except NoEngineError:
        app.out(f"no daemon answers at {app.address}")
        return 3
    info = connection.request("GET", f"{app.prefix}/info").document()
    app.out(f"daemon {info['ServerVersion']} answers at {app.address}")
    app.out(f"  data root   {info['DockerRootDir']}")
    app.out(f"  containers  {info['ContainersRunning']} running, {info['Containers']} in all")
    app.out(f"  images      {info['Images']}")
    for warning in info.get("Warnings") or ():
        app.out(f"  warning     {warning}")
    return 0


COMMAND = Command("", "Show whether the daemon runs, and what it does", status, args=(0, 0))
