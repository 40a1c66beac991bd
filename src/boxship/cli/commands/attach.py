"""`boxship attach`: join a running container's streams."""

from boxship.cli import terminal
from boxship.cli.attached import DetachedError
from boxship.cli.command import Command
from boxship.cli.detach import DetachKeys
from boxship.cli.flags import Flag, Parsed, UsageError
from boxship.cli.running import Attachment, join
from boxship.errors import ConflictError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def attach(app: "App", parsed: Parsed) -> int:
    """Attach; the result is the container's exit code, 0 after a detach."""
    name = parsed.args[0]
    found = app.call("GET", f"/containers/{name}/json")
    if not found["State"]["Running"]:
        raise ConflictError("cannot attach to a stopped container, start it first")
    if found["State"]["Paused"]:
        raise ConflictError("cannot attach to a paused container, unpause it first")
    tty = found["Config"]["Tty"]
    stdin = found["Config"]["OpenStdin"] and not parsed.flag("no-stdin")
    if tty and stdin and not terminal.is_terminal(0):
        raise UsageError("the input device is not a TTY")
    streams = {"stdout", "stderr"} | ({"stdin"} if stdin else set())
    keys = DetachKeys(parsed.text("detach-keys")) if tty and stdin else None
    attachment = Attachment(
        found["Id"], streams, tty=tty, keys=keys, sig_proxy=parsed.flag("sig-proxy")
    )
    try:
        return join(app, attachment)
    except DetachedError:
        return 0


COMMAND = Command(
    "[OPTIONS] CONTAINER",
    "Attach local standard input, output, and error streams to a running container",
    attach,
    (
        Flag("detach-keys", "text", "Override the key sequence for detaching a container"),
        Flag("no-stdin", "bool", "Do not attach STDIN"),
        Flag("sig-proxy", "bool", "Proxy all received signals to the process", default=True),
    ),
    args=(1, 1),
)
