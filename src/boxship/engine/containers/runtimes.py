"""Which runtime makes a container: the built-in one, or an external program by its name.

`runc` and `crun` are known wherever they are installed, as Docker knows its runc; others are
configured (`--add-runtime`). Each keeps its state below the engine's run-time directory.
"""

import shutil
from functools import cache

from boxship.engine.context import Context
from boxship.engine.settings import EngineSettings
from boxship.errors import InvalidArgumentError
from boxship.model.container import Container

BUILT_IN = "boxship"

# Docker's clients name containerd's shim so when they mean the default.
_BUILT_IN_NAMES = (BUILT_IN, "io.containerd.runc.v2")
_WELL_KNOWN = ("runc", "crun")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def known(settings: EngineSettings) -> dict[str, tuple[str, ...]]:
    """Command lines of the external runtimes that `--runtime` accepts, by name."""
    return _well_known() | settings.runtimes


def is_external(settings: EngineSettings, name: str) -> bool:
    """Whether a container that names this runtime, or none, is made by a program of others.

    Raises:
        InvalidArgumentError: there is no such runtime, in Docker's words.
    """
    name = name or settings.default_runtime
    if name in _BUILT_IN_NAMES:
        return False
    if name not in known(settings):
        raise InvalidArgumentError(
            f"unknown or invalid runtime name: {name}",
            hint=f"one of {', '.join((BUILT_IN, *known(settings)))}",
        )
    return True


def check_runtimes(settings: EngineSettings) -> None:
    """Refuse what no container could be made by.

    Raises:
        InvalidArgumentError: a configured program is missing, or the default is none of those.
    """
    for name in settings.runtimes:
        _find(settings, name)
    if settings.default_runtime not in (*_BUILT_IN_NAMES, *known(settings)):
        raise InvalidArgumentError(
            f"specified default runtime '{settings.default_runtime}' does not exist",
            hint=f"one of {', '.join((BUILT_IN, *known(settings)))}, or add it with --add-runtime",
        )


def command_of(context: Context, container: Container) -> tuple[str, ...]:
    """The command line that makes a container, its global options included; empty for ours.

    Raises:
        InvalidArgumentError: the runtime is not configured any more, or its program is missing.
    """
    name = container.host.runtime
    if not is_external(context.settings, name):
        return ()
    name = name or context.settings.default_runtime
    root = context.paths.exec_root / "runtimes" / name
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return (*_find(context.settings, name), "--root", str(root))


def external_command(context: Context, container: Container) -> tuple[str, ...]:
    """As `command_of`, and empty too when the runtime is not to be had any more."""
    try:
        return command_of(context, container)
    except InvalidArgumentError:
        return ()


def _find(settings: EngineSettings, name: str) -> tuple[str, ...]:
    word, *more = known(settings)[name]
    program = shutil.which(word, path=_PATH)
    if program is None:
        raise InvalidArgumentError(
            f'runtime {name}: exec: "{word}": executable file not found',
            hint="install it, or give its path with --add-runtime",
        )
    return (program, *more)


@cache
def _well_known() -> dict[str, tuple[str, ...]]:
    found = {name: shutil.which(name, path=_PATH) for name in _WELL_KNOWN}
    return {name: (path,) for name, path in found.items() if path}
