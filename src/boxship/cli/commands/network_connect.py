"""`boxship network connect`."""

from boxship.cli.command import Command
from boxship.cli.flags import Flag, Parsed
from boxship.cli.options.values import pairs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.cli.app import App


def connect(app: "App", parsed: Parsed) -> int:
    """Connect a container to a network."""
    network, container = parsed.args
    endpoint: dict[str, Any] = {
        "Aliases": parsed.list("alias"),
        "Links": parsed.list("link"),
        "DriverOpts": pairs(parsed.list("driver-opt")),
        "IPAMConfig": {"IPv4Address": parsed.text("ip"), "IPv6Address": parsed.text("ip6")},
    }
    body = {"Container": container, "EndpointConfig": endpoint}
    app.call("POST", f"/networks/{network}/connect", None, body)
    return 0


COMMAND = Command(
    "[OPTIONS] NETWORK CONTAINER",
    "Connect a container to a network",
    connect,
    (
        Flag("alias", "list", "Add network-scoped alias for the container"),
        Flag("driver-opt", "list", "driver options for the network"),
        Flag("ip", "text", "IPv4 address (e.g., 172.30.100.104)"),
        Flag("ip6", "text", "IPv6 address (e.g., 2001:db8::33)"),
        Flag("link", "list", "Add link to another container"),
    ),
    args=(2, 2),
)
