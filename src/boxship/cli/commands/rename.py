"""`boxship rename`: give a container another name."""

from boxship.cli.command import Command
from boxship.cli.flags import Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def rename(app: "App", parsed: Parsed) -> int:
    """Rename a container."""
    app.call("POST", f"/containers/{parsed.args[0]}/rename", {"name": parsed.args[1]})
    return 0


COMMAND = Command("CONTAINER NEW_NAME", "Rename a container", rename, args=(2, 2))
