"""`boxship unpause`: unpause all processes within one or more containers."""

from boxship.cli.command import Command
from boxship.cli.each import each
from boxship.cli.flags import Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def unpause(app: "App", parsed: Parsed) -> int:
    """Unpause all processes within one or more containers."""
    return each(app, parsed.args, lambda name: app.call("POST", f"/containers/{name}/unpause"))


COMMAND = Command(
    "CONTAINER [CONTAINER...]",
    "Unpause all processes within one or more containers",
    unpause,
    args=(1, None),
)
