"""`boxship system stop`: end the daemon; containers go on unless told otherwise."""

from boxship.cli.command import Command
from boxship.cli.flags import Flag, Parsed
from boxship.client.connection import Connection, NoEngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def stop(app: "App", parsed: Parsed) -> int:
    """Stop the daemon and wait until it is gone."""
    try:
        connection = Connection(app.address)
    except NoEngineError:
        app.out("no daemon is running")
        return 0
    query = {"containers": parsed.flag("containers")}
    connection.request("POST", f"{app.prefix}/boxship/stop", query).read()
    # The daemon closes its connections as its last act.
    while connection.receive():
        continue
    app.out("stopped")
    return 0


COMMAND = Command(
    "[OPTIONS]",
    "Stop the daemon",
    stop,
    (Flag("containers", "bool", "Stop the running containers too", short="c"),),
    args=(0, 0),
)
