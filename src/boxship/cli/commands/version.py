"""`boxship version`: versions of the client and of the engine."""

from boxship.__version__ import __version__
from boxship.cli.app import API_VERSION
from boxship.cli.command import Command
from boxship.cli.flags import Flag, Parsed
from boxship.client.connection import NoEngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.cli.app import App


def version(app: "App", parsed: Parsed) -> int:
    """Show both versions; 1 when no engine answers."""
    client = {"Version": __version__, "ApiVersion": API_VERSION}
    try:
        server = app.call("GET", "/version")
    except NoEngineError as error:
        _show(app, {"Client": client, "Server": None}, parsed.text("format"))
        app.err(str(error))
        return 1
    _show(app, {"Client": client, "Server": server}, parsed.text("format"))
    return 0


def _show(app: "App", document: "dict[str, Any]", layout: str) -> None:
    if layout:
        from boxship.cli.format.template import Template  # noqa: PLC0415 - few calls need it

        text = "{{json .}}" if layout == "json" else layout
        app.out(Template(text).render(document))
        return
    client, server = document["Client"], document["Server"]
    app.out(f"Client: boxship\n Version:      {client['Version']}")
    app.out(f" API version:  {client['ApiVersion']}")
    if server is None:
        return
    app.out(f"\nServer: {server['Platform']['Name']}\n Version:      {server['Version']}")
    app.out(f" API version:  {server['ApiVersion']} (minimum {server['MinAPIVersion']})")
    app.out(f" OS/Arch:      {server['Os']}/{server['Arch']}")
    app.out(f" Kernel:       {server['KernelVersion']}")


COMMAND = Command(
    "[OPTIONS]",
    "Show the version information of client and engine",
    version,
    (Flag("format", "text", "Format output using a template, or json", short="f"),),
    args=(0, 0),
)
