"""`boxship start`: start containers that are there."""

from boxship.cli import terminal
from boxship.cli.attached import DetachedError
from boxship.cli.command import Command
from boxship.cli.detach import DetachKeys
from boxship.cli.each import each
from boxship.cli.flags import Flag, Parsed, UsageError
from boxship.cli.running import Attachment, run_attached

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def start(app: "App", parsed: Parsed) -> int:
    """Start one or more containers; with -a or -i one, attached."""
    if not (parsed.flag("attach") or parsed.flag("interactive")):
        return each(app, parsed.args, lambda name: app.call("POST", f"/containers/{name}/start"))
    if len(parsed.args) != 1:
        raise UsageError("you cannot start and attach multiple containers at once")
    found = app.call("GET", f"/containers/{parsed.args[0]}/json")
    tty = found["Config"]["Tty"]
    stdin = parsed.flag("interactive") and found["Config"]["OpenStdin"]
    streams = {"stdout", "stderr"} | ({"stdin"} if stdin else set())
    keys = DetachKeys(parsed.text("detach-keys")) if tty and stdin else None
    if tty and stdin and not terminal.is_terminal(0):
        raise UsageError("the input device is not a TTY")
    attachment = Attachment(
        found["Id"], streams, tty=tty, keys=keys, sig_proxy=parsed.flag("sig-proxy")
    )
    try:
        return run_attached(app, attachment, removed=found["HostConfig"]["AutoRemove"])
    except DetachedError:
        return 0


COMMAND = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Start one or more stopped containers",
    start,
    (
        Flag("attach", "bool", "Attach STDOUT/STDERR and forward signals", short="a"),
        Flag("detach-keys", "text", "Override the key sequence for detaching a container"),
        Flag("interactive", "bool", "Attach container's STDIN", short="i"),
        Flag("sig-proxy", "bool", "Proxy received signals to the process", default=True),
    ),
    args=(1, None),
)
