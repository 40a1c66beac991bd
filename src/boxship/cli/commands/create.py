"""`boxship create`: create a container without starting it."""

from boxship.cli.command import Command
from boxship.cli.flags import Parsed
from boxship.cli.options.flags import CONTAINER_FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def create(app: "App", parsed: Parsed) -> int:
    """Create a container and print its id."""
    from boxship.cli.commands import run  # noqa: PLC0415 - its helpers, not its command

    app.out(run.create(app, parsed, detached=False))
    return 0


COMMAND = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a new container",
    create,
    CONTAINER_FLAGS,
    args=(1, None),
    interspersed=False,
)
