"""`boxship-runtime`: the runtime as an OCI command line, in the words of runc.

Every command imports its own part only: a cold start is what other engines pay for each container.
"""

import os
import sys

from boxship.errors import BoxshipError, InvalidArgumentError, UnsupportedError
from boxship.runtime.oci.arguments import Arguments, Option, parse
from boxship.runtime.oci.report import REPORT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from boxship.runtime.oci.state import Store

_GLOBAL = (
    Option("root", "directory for the state of containers"),
    Option("log", "file to write errors to, also as file:PATH"),
    Option("log-format", "format of the log: text or json"),
    Option("debug", "print each container's plan", switch=True),
    Option("systemd-cgroup", "not supported", switch=True),
    Option("cgroup-manager", "cgroupfs or disabled; systemd is not supported"),
    Option("rootless", "auto, true or false: what is so is found out"),
    Option("criu", "ignored: there are no checkpoints"),
    Option("version", "print the version", short="v", switch=True),
    Option("help", "print this", short="h", switch=True),
)
_HELP = Option("help", "print this", short="h", switch=True)
_BUNDLE = Option("bundle", "directory with config.json (default .)", short="b")
_CONFIG = Option("config", "file to read in place of the bundle's config.json", short="f")
_CONSOLE = Option("console-socket", "unix socket that gets the terminal's master")
_PID_FILE = Option("pid-file", "file to write the process id to")
_PRESERVE = Option("preserve-fds", "how many descriptors from 3 on to pass")
_NO_KEYRING = Option("no-new-keyring", "keep the session keyring of the caller", switch=True)
_REGEX = Option(
    "regex", "ID is a regular expression: all that match are meant", short="r", switch=True
)
_CREATE = (
    _BUNDLE,
    _CONFIG,
    _CONSOLE,
    _PID_FILE,
    _PRESERVE,
    _NO_KEYRING,
    Option("no-pivot", "chroot instead of pivot_root", switch=True),
)
_ROOTLESS = Option("rootless", "for a user without root", switch=True)
_FORMAT = Option("format", "table or json", short="f")


class Command:
    """A command of the program.

    Attributes:
        usage: what follows its name.
        help: one line.
        options: that it knows.
        least: how many words it needs.
        handler: `module:function`, called with store, arguments and the global options; returns the
            exit code.
    """

    __slots__ = ("handler", "help", "least", "options", "usage")

    def __init__(
        self,
        usage: str,
        help: str,  # noqa: A002
        handler: str,
        options: "tuple[Option, ...]" = (),
    ) -> None:
        self.usage = usage
        self.help = help
        self.handler = handler
        self.options = (*options, _HELP)
        self.least = usage.count("ID")


COMMANDS = {
    "create": Command("ID", "create a container", "commands:create", _CREATE),
    "start": Command("ID", "start a created container", "commands:start"),
    "run": Command(
        "ID",
        "create and start a container, and wait for it",
        "commands:run",
        (
            *_CREATE,
            Option("detach", "do not wait", short="d", switch=True),
            Option("keep", "do not delete it when it has ended", switch=True),
            Option("no-subreaper", "ignored: nothing is reaped but the container", switch=True),
        ),
    ),
    "state": Command("ID", "print a container's state", "queries:state"),
    "kill": Command(
        "ID [SIGNAL]",
        "signal a container (SIGTERM)",
        "commands:kill",
        (Option("all", "all its processes", short="a", switch=True), _REGEX),
    ),
    "delete": Command(
        "ID",
        "delete a container",
        "commands:delete",
        (
            Option("force", "kill it if it runs", short="f", switch=True),
            _REGEX,
        ),
    ),
    "exec": Command(
        "ID [COMMAND...]",
        "run a process in a container",
        "commands:execute",
        (
            Option("process", "file with an OCI process object", short="p"),
            Option("tty", "give it a terminal", short="t", switch=True),
            Option("detach", "do not wait", short="d", switch=True),
            Option("cwd", "working directory"),
            Option("env", "NAME=VALUE", short="e", repeated=True),
            Option("user", "UID[:GID]", short="u"),
            Option("additional-gids", "group id", short="g", repeated=True),
            Option("cap", "capability to add", short="c", repeated=True),
            Option("no-new-privs", "set no_new_privs, or not with =false", switch=True),
            Option("ignore-paused", "in a paused container too: it waits", switch=True),
            Option("apparmor", "AppArmor profile"),
            Option("process-label", "SELinux label"),
            Option("cgroup", "existing group to run it in, below the container's"),
            _PID_FILE,
            _CONSOLE,
            _PRESERVE,
        ),
    ),
    "ps": Command("ID [OPTIONS...]", "list a container's processes", "queries:ps", (_FORMAT,)),
    "pause": Command("ID", "freeze a container", "commands:pause"),
    "resume": Command("ID", "thaw a container", "commands:resume"),
    "update": Command(
        "ID",
        "change a container's limits",
        "updates:update",
        (
            Option("resources", "file with an OCI resources object, - for stdin", short="r"),
            Option("memory", "bytes, or 512m; -1 for no limit"),
            Option("memory-reservation", "bytes"),
            Option("memory-swap", "bytes, memory included"),
            Option("cpu-period", "microseconds"),
            Option("cpu-quota", "microseconds"),
            Option("cpu-share", "weight"),
            Option("cpu-burst", "microseconds"),
            Option("cpu-idle", "1 for SCHED_IDLE, 0 for not"),
            Option("cpu-rt-period", "microseconds"),
            Option("cpu-rt-runtime", "microseconds"),
            Option("cpuset-cpus", "cpus"),
            Option("cpuset-mems", "memory nodes"),
            Option("pids-limit", "processes, -1 for no limit"),
            Option("kernel-memory", "bytes"),
            Option("kernel-memory-tcp", "bytes"),
            Option("l3-cache-schema", "not supported"),
            Option("mem-bw-schema", "not supported"),
            Option("blkio-weight", "10 to 1000"),
        ),
    ),
    "list": Command(
        "",
        "list containers",
        "queries:list_containers",
        (_FORMAT, Option("quiet", "ids only", short="q", switch=True)),
    ),
    "spec": Command("", "write an example config.json", "queries:spec", (_BUNDLE, _ROOTLESS)),
    "events": Command(
        "ID",
        "print counters",
        "events:events",
        (
            Option("stats", "once", switch=True),
            Option("interval", "seconds between two, as in 5s"),
        ),
    ),
    "features": Command("", "print what this runtime supports", "features:features"),
}


def main() -> int:
    """Entry point: carry this process's command line out and give its exit code."""
    return carry_out(sys.argv[1:])


def carry_out(words: "list[str]") -> int:
    """Carry a command line out.

    Args:
        words: those after the program's name.

    Returns:
        Exit code: that of the container for run and exec, 1 for an error.
    """
    options = Arguments()
    try:
        options = parse(words, _GLOBAL)
        return _dispatch(options)
    except BoxshipError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(_told(error))
    except Exception as error:
        # A fault of this program. No traceback reaches a user who did not ask for one.
        if options.has("debug"):
            raise
        return _fail(f"internal error: {type(error).__name__}: {error} (--debug shows where)")


def _told(error: OSError) -> str:
    """What a failed call is told as: ours say which one, Python's only the file."""
    if error.filename is None or not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}"


def _dispatch(options: Arguments) -> int:
    if options.has("version"):
        return _version()
    if options.has("help") or not options.rest:
        return _usage()
    _check(options)
    if options.has("systemd-cgroup") or options.text("cgroup-manager", "cgroupfs") == "systemd":
        msg = "cgroups through systemd are not supported"
        raise InvalidArgumentError(msg, hint="leave --systemd-cgroup out")
    if options.text("cgroup-manager", "cgroupfs") not in ("cgroupfs", "disabled"):
        manager = options.text("cgroup-manager")
        raise InvalidArgumentError(
            f"cgroup manager {manager!r} is not supported", hint="use cgroupfs or disabled"
        )
    name, *words = options.rest
    if name in ("checkpoint", "restore"):
        msg = f"{name} is not supported: it would need CRIU, which boxship does not drive"
        raise UnsupportedError(msg, hint="stop the container and start another")
    command = COMMANDS.get(name)
    if command is None:
        raise InvalidArgumentError(f"unknown command {name!r}", hint="see --help")
    arguments = parse(words, command.options)
    if arguments.has("help"):
        return _command_usage(name, command)
    if len(arguments.rest) < command.least:
        raise InvalidArgumentError(f"usage: boxship-runtime {name} [options] {command.usage}")
    return _handler(command)(_store(options), arguments, options)


def _handler(command: Command) -> "Callable[[Store, Arguments, Arguments], int]":
    module, _, function = command.handler.partition(":")
    found = __import__(f"boxship.runtime.oci.{module}", fromlist=(function,))
    handler: Callable[[Store, Arguments, Arguments], int] = getattr(found, function)
    return handler


def _store(options: Arguments) -> "Store":
    from boxship.kernel.linux import LinuxKernel  # noqa: PLC0415 - --help needs none
    from boxship.runtime.oci.state import Store  # noqa: PLC0415 - as above

    return Store(options.text("root") or _default_root(), LinuxKernel())


def _default_root() -> str:
    if os.geteuid() == 0:
        return "/run/boxship-runtime"
    from boxship.runtime.rootless import default_root  # noqa: PLC0415 - not for root

    return default_root()


def _check(options: Arguments) -> None:
    """Refuse values of global options that would be found out too late.

    Raises:
        InvalidArgumentError: one of them is none, or the log cannot be written to.
    """
    for name, words in (("log-format", ("text", "json")), ("rootless", ("auto", "true", "false"))):
        if options.text(name, words[0]) not in words:
            msg = f"--{name} {options.text(name)!r} is not one of {', '.join(words)}"
            raise InvalidArgumentError(msg)
    if options.text("log"):
        REPORT.use(options.text("log"), as_json=options.text("log-format") == "json")


def _fail(message: str) -> int:
    REPORT.fail(message)
    return 1


def _version() -> int:
    from boxship.__version__ import __version__  # noqa: PLC0415 - only here
    from boxship.runtime.oci.state import OCI_VERSION  # noqa: PLC0415 - only here

    sys.stdout.write(f"boxship-runtime version {__version__}\nspec: {OCI_VERSION}\n")
    return 0


def _usage() -> int:
    lines = ["usage: boxship-runtime [options] COMMAND [options] ...", "", "commands:"]
    lines += [f"  {name:<10}{command.help}" for name, command in COMMANDS.items()]
    lines += ["", "options:", *map(_option_line, _GLOBAL)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _command_usage(name: str, command: Command) -> int:
    lines = [f"usage: boxship-runtime {name} [options] {command.usage}", "", command.help, ""]
    lines += map(_option_line, command.options)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _option_line(option: Option) -> str:
    names = f"--{option.name}" + (f", -{option.short}" if option.short else "")
    return f"  {names:<24}{option.help}"
