"""`boxship volume create`."""

from boxship.cli.command import Command
from boxship.cli.flags import Flag, Parsed
from boxship.cli.options.values import pairs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def create(app: "App", parsed: Parsed) -> int:
    """Create a volume and print its name."""
    name = parsed.args[0] if parsed.args else parsed.text("name")
    body = {
        "Name": name,
        "Driver": parsed.text("driver"),
        "DriverOpts": pairs(parsed.list("opt")),
        "Labels": pairs(parsed.list("label")),
    }
    app.out(app.call("POST", "/volumes/create", None, body)["Name"])
    return 0


COMMAND = Command(
    "[OPTIONS] [VOLUME]",
    "Create a volume",
    create,
    (
        Flag("driver", "text", "Specify volume driver name", short="d", default="local"),
        Flag("label", "list", "Set metadata for a volume"),
        Flag("name", "text", "Specify volume name"),
        Flag("opt", "list", "Set driver specific options", short="o"),
    ),
    args=(0, 1),
)
