"""`boxship top`: the processes of a container."""

from boxship.cli.command import Command
from boxship.cli.flags import Parsed
from boxship.cli.format.tables import table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def top(app: "App", parsed: Parsed) -> int:
    """Show the processes."""
    query = {"ps_args": " ".join(parsed.args[1:]) or None}
    found = app.call("GET", f"/containers/{parsed.args[0]}/top", query)
    app.write(table(found["Titles"], found["Processes"] or []))
    return 0


COMMAND = Command(
    "CONTAINER [ps OPTIONS]",
    "Display the running processes of a container",
    top,
    args=(1, None),
    interspersed=False,
)
