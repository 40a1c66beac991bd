"""What follows when a container's process ended."""

import asyncio

import msgspec

from boxship import log
from boxship.engine.containers.release import release
from boxship.engine.containers.remove import remove_stopped
from boxship.engine.containers.start import start_again
from boxship.engine.containers.store import Entry
from boxship.engine.context import Context
from boxship.engine.restart_policy import Ended, next_delay, should_restart
from boxship.errors import BoxshipError
from boxship.model.container import Container, ContainerState
from boxship.runtime.keeper.messages import Exit

_SECOND = 1_000_000_000


async def container_exited(context: Context, entry: Entry, ended: Exit) -> None:
    """Free what the container held, record how it ended, and restart or remove it if so wished."""
    async with entry.lock:
        state = entry.container.state
        if entry.removed or state.status not in ("running", "paused"):
            # Its start failed (and undid itself), or it was removed.
            return
        if ended.at < state.started_at:
            # Told twice, and it was started again since.
            return
        entry.log_end.finish()
        if ended.oom_killed:
            context.tell(entry, "oom")
        await release(context, entry)
        again = _again(entry, ended)
        _record(context, entry, ended, again=again)
        _tell_death(context, entry, ended)
        if again:
            _schedule(context, entry, ended)
        elif entry.container.host.auto_remove:
            await remove_stopped(context, entry, volumes=True)
            return
    # As with Docker, who waits for the end is told of it even if a restart follows.
    entry.tell("next-exit", "not-running")


def _again(entry: Entry, ended: Exit) -> bool:
    container = entry.container
    return should_restart(
        container.host.restart,
        Ended(
            ended.code,
            container.restart_count,
            stopped_by_user=container.manually_stopped or entry.stopping,
        ),
    )


def _record(context: Context, entry: Entry, ended: Exit, *, again: bool) -> None:
    container = entry.container
    state = ContainerState(
        status="restarting" if again else "exited",
        exit_code=ended.code,
        oom_killed=ended.oom_killed,
        started_at=container.state.started_at,
        finished_at=ended.at,
    )
    entry.stopping = False
    ended_so = msgspec.structs.replace(
        container, state=state, restart_count=container.restart_count + again
    )
    try:
        context.store.save(entry, ended_so)
    except BoxshipError as failure:
        # It has ended all the same, and whoever waits for it must hear it.
        log.error(f"the end of container {entry.id[:12]} is not recorded: {failure}")
        entry.container = ended_so


def _tell_death(context: Context, entry: Entry, ended: Exit) -> None:
    context.tell(
        entry,
        "die",
        exitCode=str(ended.code),
        execDuration=str(int(_ran_for(entry.container, ended))),
    )


def _ran_for(container: Container, ended: Exit) -> float:
    return max(0.0, (ended.at - container.state.started_at) / _SECOND)


def _schedule(context: Context, entry: Entry, ended: Exit) -> None:
    entry.delay = next_delay(entry.delay, _ran_for(entry.container, ended))
    schedule_restart(context, entry, entry.delay)


def schedule_restart(context: Context, entry: Entry, delay: float) -> None:
    """Start the container again after `delay` seconds, unless it is stopped before."""

    def due() -> None:
        entry.restart = None
        log.create_task(_restart(context, entry), f"restart {entry.id[:12]}")

    entry.restart = asyncio.get_running_loop().call_later(delay, due)


async def _restart(context: Context, entry: Entry) -> None:
    async with entry.lock:
        if entry.removed or entry.container.state.status != "restarting":
            return
        await start_again(context, entry)
