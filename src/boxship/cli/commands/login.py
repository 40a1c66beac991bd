"""`boxship login`: check credentials with a registry and keep them."""

import getpass
import sys

from boxship.cli.command import Command
from boxship.cli.credentials import DEFAULT_REGISTRY, config_path, store
from boxship.cli.flags import Flag, Parsed, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def login(app: "App", parsed: Parsed) -> int:
    """Log in."""
    registry = parsed.args[0] if parsed.args else DEFAULT_REGISTRY
    username, password = _ask(parsed)
    entry = {"username": username, "password": password, "serveraddress": registry}
    answer = app.call("POST", "/auth", None, entry)
    store(registry, entry | {"identitytoken": answer.get("IdentityToken") or ""})
    app.err(f"WARNING! Your credentials are stored unencrypted in '{config_path()}'.")
    app.out(answer.get("Status") or "Login Succeeded")
    return 0


def _ask(parsed: Parsed) -> "tuple[str, str]":
    username, password = parsed.text("username"), parsed.text("password")
    if parsed.flag("password-stdin"):
        if password:
            raise UsageError("--password and --password-stdin are mutually exclusive")
        if not username:
            raise UsageError("Must provide --username with --password-stdin")
        return username, sys.stdin.read().rstrip("\r\n")
    if not (username and password) and not sys.stdin.isatty():
        raise UsageError("Cannot perform an interactive login from a non TTY device")
    username = username or input("Username: ")
    return username, password or getpass.getpass("Password: ")


COMMAND = Command(
    "[OPTIONS] [SERVER]",
    "Authenticate to a registry",
    login,
    (
        Flag("password", "text", "Password", short="p"),
        Flag("password-stdin", "bool", "Take the password from stdin"),
        Flag("username", "text", "Username", short="u"),
    ),
    args=(0, 1),
)
