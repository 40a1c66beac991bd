"""`boxship exec`: run a further process in a running container."""

from boxship.cli import terminal
from boxship.cli.attached import DetachedError
from boxship.cli.command import Command
from boxship.cli.detach import DetachKeys
from boxship.cli.flags import Flag, Parsed, UsageError
from boxship.cli.options.values import environment
from boxship.cli.running import UPGRADE, Attachment, carry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.cli.app import App


def execute(app: "App", parsed: Parsed) -> int:
    """Run the process; the result is its exit code."""
    detached, tty = parsed.flag("detach"), parsed.flag("tty")
    stdin = parsed.flag("interactive") and not detached
    if tty and stdin and not terminal.is_terminal(0):
        raise UsageError("the input device is not a TTY")
    body = _body(parsed, stdin=stdin)
    exec_id = app.call("POST", f"/containers/{parsed.args[0]}/exec", None, body)["Id"]
    if detached:
        app.call("POST", f"/exec/{exec_id}/start", None, {"Detach": True, "Tty": tty})
        return 0
    streams = {"stdout", "stderr"} | ({"stdin"} if stdin else set())
    keys = DetachKeys(parsed.text("detach-keys")) if tty and stdin else None
    attachment = Attachment(exec_id, streams, tty=tty, keys=keys, sig_proxy=False)
    connection = app.connect()
    start: dict[str, Any] = {"Detach": False, "Tty": tty}
    if tty:
        start["ConsoleSize"] = list(terminal.size(0))
    with terminal.RawMode(0 if tty and stdin else -1):
        connection.request("POST", f"{app.prefix}/exec/{exec_id}/start", None, start, UPGRADE)
        try:
            carry(app, attachment, connection, f"/exec/{exec_id}/resize")
        except DetachedError:
            return 0
    return int(app.call("GET", f"/exec/{exec_id}/json")["ExitCode"] or 0)


def _body(parsed: Parsed, *, stdin: bool) -> "dict[str, Any]":
    detached = parsed.flag("detach")
    body: dict[str, Any] = {
        "Cmd": parsed.args[1:],
        "Tty": parsed.flag("tty"),
        "User": parsed.text("user"),
        "WorkingDir": parsed.text("workdir"),
        "Privileged": parsed.flag("privileged"),
        "AttachStdin": stdin,
        "AttachStdout": not detached,
        "AttachStderr": not detached,
        "DetachKeys": parsed.text("detach-keys"),
    }
    env = environment(parsed.list("env"), parsed.list("env-file"))
    if env:
        body["Env"] = env
    return body


COMMAND = Command(
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    "Execute a command in a running container",
    execute,
    (
        Flag("detach", "bool", "Detached mode: run command in the background", short="d"),
        Flag("detach-keys", "text", "Override the key sequence for detaching a container"),
        Flag("env", "list", "Set environment variables", short="e"),
        Flag("env-file", "list", "Read in a file of environment variables"),
        Flag("interactive", "bool", "Keep STDIN open even if not attached", short="i"),
        Flag("privileged", "bool", "Give extended privileges to the command"),
        Flag("tty", "bool", "Allocate a pseudo-TTY", short="t"),
        Flag("user", "text", "Username or UID", short="u"),
        Flag("workdir", "text", "Working directory inside the container", short="w"),
    ),
    args=(2, None),
    interspersed=False,
)
