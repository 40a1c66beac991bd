"""Names of commands to the modules that hold them; a module is loaded only when it is called."""

from boxship.cli.flags import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.command import Command

# Name as typed: module in boxship.cli.commands. Docker has two names for most commands.
COMMANDS = {
    "attach": "attach",
    "build": "build",
    "create": "create",
    "events": "events",
    "exec": "exec",
    "history": "history",
    "images": "images",
    "import": "import_",
    "info": "info",
    "inspect": "inspect",
    "kill": "kill",
    "load": "load",
    "login": "login",
    "logout": "logout",
    "logs": "logs",
    "pause": "pause",
    "port": "port",
    "ps": "ps",
    "pull": "pull",
    "push": "push",
    "rename": "rename",
    "restart": "restart",
    "rm": "rm",
    "rmi": "rmi",
    "run": "run",
    "save": "save",
    "start": "start",
    "stop": "stop",
    "tag": "tag",
    "top": "top",
    "unpause": "unpause",
    "version": "version",
    "wait": "wait",
    "daemon": "daemon",
    "image bootstrap": "image_bootstrap",
    "image prune": "image_prune",
    "container prune": "container_prune",
    "network connect": "network_connect",
    "network create": "network_create",
    "network disconnect": "network_disconnect",
    "network inspect": "network_inspect",
    "network ls": "network_ls",
    "network prune": "network_prune",
    "network rm": "network_rm",
    "volume create": "volume_create",
    "volume inspect": "volume_inspect",
    "volume ls": "volume_ls",
    "volume prune": "volume_prune",
    "volume rm": "volume_rm",
    "system df": "system_df",
    "system events": "events",
    "system info": "info",
    "system prune": "system_prune",
    "system status": "system_status",
    "system stop": "system_stop",
    "builder build": "build",
    "builder prune": "builder_prune",
}
_CONTAINER = (
    "attach create exec inspect kill logs pause port rename restart rm run start stop top unpause"
    " wait"
)
_IMAGE = "build history import inspect load pull push save tag"
COMMANDS |= {f"container {name}": COMMANDS[name] for name in _CONTAINER.split()}
COMMANDS |= {"container ls": "ps", "container list": "ps", "container ps": "ps"}
COMMANDS |= {f"image {name}": COMMANDS[name] for name in _IMAGE.split()}
COMMANDS |= {"image inspect": "image_inspect", "container inspect": "container_inspect"}
COMMANDS |= {"image ls": "images", "image list": "images", "image rm": "rmi", "image remove": "rmi"}
COMMANDS |= {"network list": "network_ls", "network remove": "network_rm"}
COMMANDS |= {"volume list": "volume_ls", "volume remove": "volume_rm"}

GROUPS = ("builder", "container", "image", "network", "system", "volume")


def find(words: "list[str]") -> "tuple[Command | None, list[str]]":
    """The command that the words begin with, and the words after its name.

    None stands for a group without a command (`boxship network`), which shows its help.

    Raises:
        UsageError: there is no such command.
    """
    for count in (2, 1):
        name = " ".join(words[:count])
        if len(words) >= count and name in COMMANDS and (count == 2 or words[0] not in GROUPS):
            return load(name), words[count:]
    if words[0] in GROUPS and (len(words) == 1 or words[1].startswith("-")):
        return None, words[1:]
    name = " ".join(words[:2]) if words[0] in GROUPS else words[0]
    raise UsageError(f"'{name}' is not a boxship command.\nSee 'boxship --help'")


def load(name: str) -> "Command":
    """The command of this name."""
    # importlib imports `warnings`, 2 ms of every command.
    module = __import__(f"boxship.cli.commands.{COMMANDS[name]}", fromlist=("COMMAND",))
    command: Command = module.COMMAND
    command.name = name
    return command


def overview(words: "list[str]") -> str:
    """Help: of one command, of a group, or of everything."""
    if words and words[0] not in GROUPS:
        return find(words)[0].help()  # type: ignore[union-attr]  # only groups give None
    prefix = f"{words[0]} " if words else ""
    names = sorted(
        name
        for name in COMMANDS
        if name.startswith(prefix) and name.count(" ") == prefix.count(" ")
    )
    lines = [f"Usage:  boxship {prefix}COMMAND", "", "Commands:"]
    lines += [f"  {name.removeprefix(prefix):<12} {load(name).summary}" for name in names]
    if not words:
        lines += ["", "Management commands:", f"  {' '.join(GROUPS)}"]
    lines += ["", f"Run 'boxship {prefix}COMMAND --help' for more information on a command."]
    return "\n".join(lines) + "\n"
