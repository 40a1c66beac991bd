"""Diagnostics of the long-running processes: one line a record on standard error.

Small on purpose: the launcher and the keeper use it, and the logging module would double their
start time.
"""

import os
import sys
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

_LEVELS = {"debug": 10, "info": 20, "warn": 30, "error": 40}
_threshold = _LEVELS["info"]
_bound = 0
_tasks: "set[asyncio.Task[Any]]" = set()


def set_level(name: str) -> None:
    """Show records of this level and above: debug, info, warn or error.

    Raises:
        ValueError: the name is none of these.
    """
    global _threshold  # noqa: PLW0603 - one process has one threshold
    if name not in _LEVELS:
        msg = f"unknown log level {name!r}: use debug, info, warn or error"
        raise ValueError(msg)
    _threshold = _LEVELS[name]


def bound(size: int) -> None:
    """Keep the file that standard error appends to near a size, in bytes.

    What is over moves to PATH.1, which held what was before: twice the size is on disk at most.
    Processes that share the descriptor share the bound.
    """
    global _bound  # noqa: PLW0603 - as above
    _bound = size


def debug(message: str) -> None:
    _write("debug", message)


def info(message: str) -> None:
    _write("info", message)


def warn(message: str) -> None:
    _write("warn", message)


def error(message: str) -> None:
    _write("error", message)


def exception(what: str, failure: BaseException) -> None:
    """Report an unexpected failure with where it came from, innermost frame last."""
    import traceback  # noqa: PLC0415 - only on the way to a bug report

    trace = "".join(traceback.format_exception(failure)).rstrip().replace("\n", "\n    ")
    error(f"{what}: {trace}")


def _write(level: str, message: str) -> None:
    if _LEVELS[level] < _threshold:
        return
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    line = f"{stamp} {level} [{os.getpid()}] {message}\n"
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
        if _bound and os.fstat(2).st_size > _bound:
            _empty()
    except (OSError, ValueError):
        # A daemon whose terminal or log disk went away must go on.
        return


def _empty() -> None:
    # In place: others append to the same file, and would go on in one that was renamed.
    path = os.readlink("/proc/self/fd/2")  # noqa: PTH115 - no pathlib in the keeper
    with open(path, "rb") as full, open(f"{path}.1", "wb") as old:  # noqa: PTH123 - as above
        old.write(full.read(2 * _bound))
    os.chmod(f"{path}.1", 0o600)  # noqa: PTH101 - as above
    os.ftruncate(2, 0)


def create_task(work: Coroutine[Any, Any, Any], name: str) -> "asyncio.Task[Any]":
    """Run a coroutine in the background, keep it from being collected, and report its failure."""
    import asyncio  # noqa: PLC0415 - the keeper logs too, and must not load asyncio

    task = asyncio.get_running_loop().create_task(work, name=name)
    _tasks.add(task)
    task.add_done_callback(_finished)
    return task


def _finished(task: "asyncio.Task[Any]") -> None:
    _tasks.discard(task)
    if task.cancelled():
        return
    failure = task.exception()
    if failure is not None:
        error(f"background task {task.get_name()} failed: {type(failure).__name__}: {failure}")
