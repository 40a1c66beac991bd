"""stop: ask a container's process to end, then insist."""

import asyncio
import signal as signals
from contextlib import suppress

import msgspec

from boxship.engine.containers.kill import deliver, mark_stopped, stop_signal
from boxship.engine.containers.signals import signal_number
from boxship.engine.containers.store import Entry
from boxship.engine.context import Context
from boxship.errors import ConflictError, InternalError, NotFoundError, NotModifiedError

_KILL_PATIENCE = 30.0
"""Seconds that a process may take to die of SIGKILL (it may sleep in the kernel)."""


async def stop(context: Context, entry: Entry, grace: int | None = None, signal: str = "") -> None:
    """Send the stop signal, and SIGKILL after `grace` seconds (negative: never).

    Raises:
        NotModifiedError: it does not run.
        InternalError: it does not die.
    """
    number = signal_number(signal) if signal else stop_signal(entry)
    state = entry.container.state
    if not state.running:
        raise NotModifiedError(f"container {entry.id} is already stopped")
    if state.status == "restarting" and await _give_up_restart(context, entry):
        context.tell(entry, "stop")
        return
    await _end(context, entry, number, _seconds(context, entry, grace))
    context.tell(entry, "stop")


def _seconds(context: Context, entry: Entry, grace: int | None) -> float | None:
    if grace is None:
        grace = entry.container.config.stop_timeout
    if grace is None:
        grace = context.settings.stop_grace
    return None if grace < 0 else float(grace)


async def _give_up_restart(context: Context, entry: Entry) -> bool:
    """Stop a container that waits for its restart; False when it just started after all."""
    async with entry.lock:
        container = entry.container
        if container.state.status != "restarting":
            return not container.state.running
        entry.cancel_restart()
        state = msgspec.structs.replace(container.state, status="exited")
        context.store.save(
            entry, msgspec.structs.replace(container, state=state, manually_stopped=True)
        )
        entry.tell("not-running")
        return True


async def _end(context: Context, entry: Entry, number: int, seconds: float | None) -> None:
    ended = entry.watch("next-exit")
    mark_stopped(context, entry)
    await deliver(context, entry, number)
    if entry.container.state.status == "paused":
        # SIGKILL, ours or another's, may have thawed or ended it.
        with suppress(NotFoundError, ConflictError):
            await context.supervisor.resume(entry.id)
    done, _ = await asyncio.wait((ended,), timeout=seconds)
    if done:
        return
    await deliver(context, entry, signals.SIGKILL)
    done, _ = await asyncio.wait((ended,), timeout=_KILL_PATIENCE)
    if not done:
        ended.cancel()
        raise InternalError(
            f"container {entry.id} does not end: SIGKILL has had no effect for "
            f"{_KILL_PATIENCE:.0f} seconds",
            hint="a process that waits in the kernel (dead network file system?) cannot be killed",
        )
