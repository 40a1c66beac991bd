"""`boxship rmi`: remove one or more images."""

from boxship.cli.command import Command
from boxship.cli.each import each
from boxship.cli.flags import Flag, Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def remove(app: "App", parsed: Parsed) -> int:
    """Remove one or more images."""
    query = {"force": parsed.flag("force"), "noprune": parsed.flag("no-prune")}

    def one(name: str) -> None:
        for item in app.call("DELETE", f"/images/{name}", query):
            for key in ("Untagged", "Deleted"):
                if item.get(key):
                    app.out(f"{key}: {item[key]}")

    return each(app, parsed.args, one, echo=False)


COMMAND = Command(
    "[OPTIONS] IMAGE [IMAGE...]",
    "Remove one or more images",
    remove,
    (
        Flag("force", "bool", "Force removal of the image", short="f"),
        Flag("no-prune", "bool", "Do not delete untagged parents"),
    ),
    args=(1, None),
)
