"""`boxship info`: the engine and its host."""

from boxship.cli.command import Command
from boxship.cli.flags import Flag, Parsed
from boxship.cli.format.human import binary_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.cli.app import App


def info(app: "App", parsed: Parsed) -> int:
    """Show what the engine says of itself."""
    found = app.call("GET", "/info")
    layout = parsed.text("format")
    if layout:
        from boxship.cli.format.template import Template  # noqa: PLC0415 - few calls need it

        app.out(Template("{{json .}}" if layout == "json" else layout).render(found))
        return 0
    for name, value in _lines(found):
        app.out(f" {name}: {value}")
    for warning in found.get("Warnings") or ():
        app.err(f"WARNING: {warning}")
    return 0


def _lines(found: "dict[str, Any]") -> "list[tuple[str, object]]":
    plugins = found["Plugins"]
    return [
        ("Server Version", found["ServerVersion"]),
        ("Containers", found["Containers"]),
        (" Running", found["ContainersRunning"]),
        (" Paused", found["ContainersPaused"]),
        (" Stopped", found["ContainersStopped"]),
        ("Images", found["Images"]),
        ("Storage Driver", found["Driver"]),
        ("Logging Driver", found["LoggingDriver"]),
        ("Cgroup Version", found["CgroupVersion"]),
        ("Network", " ".join(plugins["Network"] or ())),
        ("Volume", " ".join(plugins["Volume"] or ())),
        ("Log", " ".join(plugins["Log"] or ())),
        ("Runtimes", " ".join(found["Runtimes"])),
        ("Default Runtime", found["DefaultRuntime"]),
        ("Security Options", " ".join(found["SecurityOptions"] or ())),
        ("Kernel Version", found["KernelVersion"]),
        ("Operating System", found["OperatingSystem"]),
        ("OSType", found["OSType"]),
        ("Architecture", found["Architecture"]),
        ("CPUs", found["NCPU"]),
        ("Total Memory", binary_size(found["MemTotal"])),
        ("Name", found["Name"]),
        ("ID", found["ID"]),
        ("Root Dir", found["DockerRootDir"]),
    ]


COMMAND = Command(
    "[OPTIONS]",
    "Display system-wide information",
    info,
    (Flag("format", "text", "Format output using a template, or json", short="f"),),
    args=(0, 0),
)
