"""kill: send a signal to a container's process."""

import asyncio
import signal as signals

import msgspec

from boxship.engine.containers.signals import signal_number
from boxship.engine.containers.store import Entry
from boxship.engine.context import Context
from boxship.errors import ConflictError, NotFoundError

_PATIENCE = 10.0
"""Seconds that SIGKILL is given before the answer."""


async def kill(context: Context, entry: Entry, signal: str = "") -> None:
    """Send a signal; SIGKILL and the container's stop signal also end its restart policy.

    After SIGKILL the end is waited for: clients remove or inspect the container right after.

    Raises:
        ConflictError: it does not run.
        InvalidArgumentError: no such signal.
    """
    number = signal_number(signal or "SIGKILL")
    container = entry.container
    if not container.state.pid:
        raise not_running(entry, f"cannot kill container: {container.id}: ")
    if number in (signals.SIGKILL, stop_signal(entry)):
        mark_stopped(context, entry)
    if number != signals.SIGKILL:
        await deliver(context, entry, number)
        return
    ended = entry.watch("next-exit")
    await deliver(context, entry, number)
    await asyncio.wait((ended,), timeout=_PATIENCE)
    ended.cancel()


async def deliver(context: Context, entry: Entry, number: int) -> None:
    """Send the signal and tell it; a process that just ended is no failure."""
    try:
        await context.supervisor.signal(entry.id, number)
    except (NotFoundError, ConflictError):
        return
    context.tell(entry, "kill", signal=str(number))


def mark_stopped(context: Context, entry: Entry) -> None:
    """Remember that a user stopped it, before the signal that may kill it is sent."""
    entry.stopping = True
    if not entry.container.manually_stopped:
        context.store.save(entry, msgspec.structs.replace(entry.container, manually_stopped=True))


def stop_signal(entry: Entry) -> int:
    return signal_number(entry.container.config.stop_signal or "SIGTERM")


def not_running(entry: Entry, prefix: str = "") -> ConflictError:
    return ConflictError(f"{prefix}Container {entry.id} is not running")
