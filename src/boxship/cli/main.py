"""`boxship`: reads the command's name, runs it, turns failures into exit codes."""

import os
import sys

from boxship.cli.app import App
from boxship.cli.flags import Flag, UsageError, parse
from boxship.cli.visible import visible
from boxship.client.connection import Tls
from boxship.errors import BoxshipError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.command import Command
    from boxship.cli.flags import Parsed

EXIT_FAILURE = 1
# Docker's: a flag it cannot read, and a container that it could not make or run.
EXIT_USAGE = 125
_RUNNING = ("run", "create", "exec", "container run", "container create", "container exec")

GLOBAL_FLAGS = (
    Flag("config", "text", "Location of client config files"),
    Flag("debug", "bool", "Enable debug mode", short="D"),
    Flag("help", "bool", "Print usage"),
    Flag("host", "text", "Engine to connect to", short="H"),
    Flag("log-level", "text", "Set the logging level", short="l", default="info"),
    Flag("tls", "bool", "Use TLS"),
    Flag("tlscacert", "text", "Trust certs signed only by this CA"),
    Flag("tlscert", "text", "Path to TLS certificate file"),
    Flag("tlskey", "text", "Path to TLS key file"),
    Flag("tlsverify", "bool", "Use TLS and verify the remote"),
    Flag("version", "bool", "Print version information and quit", short="v"),
)


def main() -> int:
    """Run the command line of this process and give its exit code."""
    return run(sys.argv[1:])


def run(words: "list[str]") -> int:
    """Run one command line.

    Every deliberate failure ends here as one line on standard error.
    """
    try:
        return _run(words)
    except UsageError as error:
        sys.stderr.write(f"boxship: {visible(str(error))}\n")
        return EXIT_FAILURE
    except BoxshipError as error:
        sys.stdout.flush()
        sys.stderr.write(f"boxship: {visible(str(error))}\n")
        return getattr(error, "exit_code", 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output left (`boxship logs | head`): there is nobody to tell.
        return 141


def _run(words: "list[str]") -> int:
    options = parse(GLOBAL_FLAGS, words, interspersed=False)
    if options.flag("version"):
        from boxship.__version__ import __version__  # noqa: PLC0415 - only here

        sys.stdout.write(f"boxship version {__version__}\n")
        return 0
    from boxship.cli.table import find, overview  # noqa: PLC0415 - after the quick answers

    if not options.args or options.args[0] == "help":
        sys.stdout.write(overview(options.args[1:]))
        return 0
    command, rest = find(options.args)
    if command is None:
        sys.stdout.write(overview(options.args))
        return 0 if options.flag("help") else 1
    return _dispatch(command, options, rest)


def _dispatch(command: "Command", options: "Parsed", words: "list[str]") -> int:
    code = EXIT_USAGE
    try:
        if command.raw:
            words = ["--", *words]
        parsed = parse(command.flags, words, interspersed=command.interspersed)
        code = EXIT_FAILURE
        if parsed.flag("help"):
            sys.stdout.write(command.help())
            return 0
        command.check(parsed)
        code = EXIT_USAGE if command.name in _RUNNING else EXIT_FAILURE
        app = App(options.text("host"), _tls(options), debug=options.flag("debug"))
        return command.action(app, parsed)
    except UsageError as error:
        hint = f"See 'boxship {command.name} --help'."
        sys.stderr.write(f"boxship: {visible(str(error))}\n{hint}\n")
        return code


def _tls(options: "Parsed") -> "Tls | None":
    verify = options.flag("tlsverify") or bool(os.environ.get("DOCKER_TLS_VERIFY"))
    if not (verify or options.flag("tls")):
        return None
    directory = os.environ.get("DOCKER_CERT_PATH", "")
    names = [
        options.text(flag) or (f"{directory}/{name}" if directory else "")
        for flag, name in (("tlscacert", "ca.pem"), ("tlscert", "cert.pem"), ("tlskey", "key.pem"))
    ]
    return Tls(*names, verify=verify)
