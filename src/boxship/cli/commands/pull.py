"""`boxship pull`: download an image from a registry."""

from boxship.cli.command import Command
from boxship.cli.flags import Flag, Parsed
from boxship.cli.pulling import pull as pull_image
from boxship.cli.pulling import split_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def pull(app: "App", parsed: Parsed) -> int:
    """Pull one image."""
    image = parsed.args[0]
    if parsed.flag("quiet") or split_tag(image)[1] != "latest" or image.endswith(":latest"):
        default = ""
    else:
        default = "Using default tag: latest"
    if default:
        app.out(default)
    pull_image(app, image, platform=parsed.text("platform"), quiet=parsed.flag("quiet"))
    app.out(_whole_name(image))
    return 0


def _whole_name(image: str) -> str:
    """The normalised reference, which Docker prints last."""
    name, tag = split_tag(image)
    head, slash, _ = name.partition("/")
    if not (slash and ("." in head or ":" in head or head == "localhost")):
        name = f"docker.io/{name}" if slash else f"docker.io/library/{name}"
    return f"{name}@{tag}" if ":" in tag else f"{name}:{tag}"


COMMAND = Command(
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    "Download an image from a registry",
    pull,
    (
        Flag("platform", "text", "Set platform if server is multi-platform capable"),
        Flag("quiet", "bool", "Suppress verbose output", short="q"),
    ),
    args=(1, 1),
)
