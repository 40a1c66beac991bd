"""`boxship network rm`: remove one or more networks."""

from boxship.cli.command import Command
from boxship.cli.each import each
from boxship.cli.flags import Flag, Parsed
from boxship.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def remove(app: "App", parsed: Parsed) -> int:
    """Remove one or more networks."""

    def one(name: str) -> None:
        try:
            app.call("DELETE", f"/networks/{name}")
        except NotFoundError:
            if not parsed.flag("force"):
                raise

    return each(app, parsed.args, one)


COMMAND = Command(
    "NETWORK [NETWORK...]",
    "Remove one or more networks",
    remove,
    (Flag("force", "bool", "Do not error if the network does not exist", short="f"),),
    args=(1, None),
)
