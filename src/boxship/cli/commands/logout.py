"""`boxship logout`: forget a registry's credentials."""

from boxship.cli.command import Command
from boxship.cli.credentials import DEFAULT_REGISTRY, erase
from boxship.cli.flags import Parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def logout(app: "App", parsed: Parsed) -> int:
    """Log out."""
    registry = parsed.args[0] if parsed.args else DEFAULT_REGISTRY
    if erase(registry):
        app.out(f"Removing login credentials for {registry}")
    else:
        app.out(f"Not logged in to {registry}")
    return 0


COMMAND = Command("[SERVER]", "Log out from a registry", logout, args=(0, 1))
