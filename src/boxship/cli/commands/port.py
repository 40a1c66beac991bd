"""`boxship port`: where a container's ports are published."""

from boxship.cli.command import Command
from boxship.cli.flags import Parsed
from boxship.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


def port(app: "App", parsed: Parsed) -> int:
    """List the port mappings, or those of one port."""
    found = app.call("GET", f"/containers/{parsed.args[0]}/json")
    ports = found["NetworkSettings"]["Ports"] or {}
    if len(parsed.args) > 1:
        wanted = parsed.args[1] if "/" in parsed.args[1] else f"{parsed.args[1]}/tcp"
        if not ports.get(wanted):
            raise NotFoundError(f"no public port '{wanted}' published for {parsed.args[0]}")
        for binding in ports[wanted]:
            app.out(_address(binding))
        return 0
    for name in sorted(ports, key=lambda key: (int(key.partition("/")[0]), key)):
        for binding in ports[name] or ():
            app.out(f"{name} -> {_address(binding)}")
    return 0


def _address(binding: "dict[str, str]") -> str:
    host = binding["HostIp"]
    return f"{f'[{host}]' if ':' in host else host}:{binding['HostPort']}"


COMMAND = Command(
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    "List port mappings or a specific mapping for the container",
    port,
    args=(1, 2),
)
