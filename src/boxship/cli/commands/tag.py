"""`boxship tag`: give an image another name."""

from boxship.cli.command import Command
from boxship.cli.flags import Parsed
from boxship.cli.pulling import split_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def tag(app: "App", parsed: Parsed) -> int:
    """Name an image."""
    repository, label = split_tag(parsed.args[1])
    app.call("POST", f"/images/{parsed.args[0]}/tag", {"repo": repository, "tag": label})
    return 0


COMMAND = Command(
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    tag,
    args=(2, 2),
)
