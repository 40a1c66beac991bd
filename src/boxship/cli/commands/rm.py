"""`boxship rm`: remove one or more containers."""

from boxship.cli.command import Command
from boxship.cli.each import each
from boxship.cli.flags import Flag, Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def remove(app: "App", parsed: Parsed) -> int:
    """Remove one or more containers."""
    query = {
        "force": parsed.flag("force"),
        "v": parsed.flag("volumes"),
        "link": parsed.flag("link"),
    }
    return each(
        app,
        parsed.args,
        lambda name: app.call("DELETE", f"/containers/{name}", query),
        missing_ok=parsed.flag("force"),
    )


COMMAND = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Remove one or more containers",
    remove,
    (
        Flag("force", "bool", "Force the removal of a running container", short="f"),
        Flag("link", "bool", "Remove the specified link", short="l"),
        Flag("volumes", "bool", "Remove anonymous volumes of the container", short="v"),
    ),
    args=(1, None),
)
