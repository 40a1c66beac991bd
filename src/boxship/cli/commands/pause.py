"""`boxship pause`: pause all processes within one or more containers."""

from boxship.cli.command import Command
from boxship.cli.each import each
from boxship.cli.flags import Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def pause(app: "App", parsed: Parsed) -> int:
    """Pause all processes within one or more containers."""
    return each(app, parsed.args, lambda name: app.call("POST", f"/containers/{name}/pause"))


COMMAND = Command(
    "CONTAINER [CONTAINER...]",
    "Pause all processes within one or more containers",
    pause,
    args=(1, None),
)
