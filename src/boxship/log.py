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
    except (OSError, ValueError):
        # A daemon whose terminal or log disk went away must go on.
        return


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
