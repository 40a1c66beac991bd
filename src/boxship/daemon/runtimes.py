"""The external runtimes that an operator configures, by flag and by file."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from boxship.errors import InvalidArgumentError, UnsupportedError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_RESERVED = ("boxship", "io.containerd.runc.v2")
"""Ours, and how Docker's clients name the default by containerd's shim."""


class RuntimeEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One of `runtimes` in `daemon.json`.

    Attributes:
        path: a program, or its name on the PATH.
        runtime_args: its global options.
        runtime_type: a shim of containerd's, which this engine has not.
        options: of that shim.
    """

    path: str = ""
    runtime_args: tuple[str, ...] = ()
    runtime_type: str = ""
    options: dict[str, Any] = {}


def configured(
    flags: Iterable[tuple[str, str]], entries: Mapping[str, RuntimeEntry]
) -> dict[str, tuple[str, ...]]:
    """Command lines by name.

    Args:
        flags: names and paths, as `--add-runtime` gives them.
        entries: `runtimes` of the file.

    Raises:
        InvalidArgumentError: a name cannot be one, is taken, or is given twice.
        UnsupportedError: it is to be run by a shim of containerd's.
    """
    result = {name: _command(name, entry) for name, entry in entries.items()}
    for name, path in flags:
        if name in result:
            raise InvalidArgumentError(f"runtime {name} is configured twice")
        result[name] = (path,)
    for name in result:
        if name in _RESERVED:
            raise InvalidArgumentError(f"runtime name {name!r} is taken by the built-in one")
        # Its state is in a directory of this name.
        if not _NAME.fullmatch(name):
            raise InvalidArgumentError(
                f"invalid runtime name {name!r}", hint="use letters, digits, '_', '.' and '-'"
            )
    for name, (path, *_) in result.items():
        if "/" in path and not path.startswith("/"):
            raise InvalidArgumentError(
                f"runtime {name}: path {path!r} is relative",
                hint="give an absolute path, or the name of a program on the PATH",
            )
    return result


def _command(name: str, entry: RuntimeEntry) -> tuple[str, ...]:
    if entry.runtime_type or entry.options:
        raise UnsupportedError(
            f"runtime {name}: runtimeType and options, of containerd's shims, are not supported",
            hint="give path, and runtimeArgs where it needs any",
        )
    if not entry.path:
        raise InvalidArgumentError(f"runtime {name}: no path is given")
    return (entry.path, *entry.runtime_args)
