"""`boxship network create`."""

from boxship.cli.command import Command
from boxship.cli.flags import Flag, Parsed, UsageError
from boxship.cli.options.values import pairs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.cli.app import App


def create(app: "App", parsed: Parsed) -> int:
    """Create a network and print its id."""
    body: dict[str, Any] = {
        "Name": parsed.args[0],
        "CheckDuplicate": True,
        "Driver": parsed.text("driver"),
        "Internal": parsed.flag("internal"),
        "Attachable": parsed.flag("attachable"),
        "EnableIPv6": parsed.flag("ipv6"),
        "Options": pairs(parsed.list("opt")),
        "Labels": pairs(parsed.list("label")),
        "IPAM": {
            "Driver": parsed.text("ipam-driver"),
            "Options": pairs(parsed.list("ipam-opt")),
            "Config": _pools(parsed),
        },
    }
    answer = app.call("POST", "/networks/create", None, body)
    if answer.get("Warning"):
        app.err(f"WARNING: {answer['Warning']}")
    app.out(answer["Id"])
    return 0


def _pools(parsed: Parsed) -> "list[dict[str, Any]]":
    """Subnets with the ranges, gateways and reserved addresses given beside them, in order."""
    subnets = parsed.list("subnet")
    extra = {"ip-range": "IPRange", "gateway": "Gateway"}
    pools: list[dict[str, Any]] = [{"Subnet": subnet} for subnet in subnets]
    for flag, field in extra.items():
        for index, value in enumerate(parsed.list(flag)):
            if index >= len(pools):
                raise UsageError(f"every --{flag} needs a corresponding --subnet")
            pools[index][field] = value
    if parsed.list("aux-address"):
        if not pools:
            raise UsageError("--aux-address needs a corresponding --subnet")
        pools[0]["AuxiliaryAddresses"] = pairs(parsed.list("aux-address"))
    return pools


COMMAND = Command(
    "[OPTIONS] NETWORK",
    "Create a network",
    create,
    (
        Flag("attachable", "bool", "Enable manual container attachment"),
        Flag("aux-address", "list", "Auxiliary IPv4 addresses used by the network driver"),
        Flag("driver", "text", "Driver to manage the Network", short="d", default="bridge"),
        Flag("gateway", "list", "IPv4 Gateway for the master subnet"),
        Flag("internal", "bool", "Restrict external access to the network"),
        Flag("ip-range", "list", "Allocate container ip from a sub-range"),
        Flag("ipam-driver", "text", "IP Address Management Driver", default="default"),
        Flag("ipam-opt", "list", "Set IPAM driver specific options"),
        Flag("ipv6", "bool", "Enable IPv6 networking"),
        Flag("label", "list", "Set metadata on a network"),
        Flag("opt", "list", "Set driver specific options", short="o"),
        Flag("subnet", "list", "Subnet in CIDR format that represents a network segment"),
    ),
    args=(1, 1),
)
