"""`boxship wait`: block until one or more containers stop, then print their exit codes."""

from boxship.cli.command import Command
from boxship.cli.each import each
from boxship.cli.flags import Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def wait(app: "App", parsed: Parsed) -> int:
    """Block until one or more containers stop, then print their exit codes."""

    def one(name: str) -> None:
        app.out(str(app.call("POST", f"/containers/{name}/wait")["StatusCode"]))

    return each(app, parsed.args, one, echo=False)


COMMAND = Command(
    "CONTAINER [CONTAINER...]",
    "Block until one or more containers stop, then print their exit codes",
    wait,
    args=(1, None),
)
