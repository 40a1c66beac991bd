"""What the engine does when its daemon starts: makes records and reality agree again.

The keeper's word counts for processes, the records' for everything else. What is on neither
(snapshots, directories, bundles, processes of a create, build or removal that was cut short) goes.
"""

import asyncio
from collections.abc import Container, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from boxship import log
from boxship.engine.containers.exits import container_exited, schedule_restart
from boxship.engine.containers.network import NamespaceGoneError, network_namespace, sandbox_of
from boxship.engine.containers.release import forget_process, release
from boxship.engine.containers.remove import remove_stopped
from boxship.engine.containers.runtimes import external_command
from boxship.engine.containers.start import start
from boxship.engine.containers.store import Entry
from boxship.engine.context import Context
from boxship.engine.logs.reader import Ending
from boxship.engine.restart_policy import FIRST_DELAY, Ended, should_revive
from boxship.errors import BoxshipError
from boxship.model.container import ContainerState
from boxship.runtime.keeper.messages import Exit
from boxship.runtime.supervisor import Status
from boxship.storage.trees import delete_tree

LOST = 255
"""Exit code of a container whose end nobody saw, as after a reboot."""


async def recover(context: Context) -> None:
    """Adopt, settle, sweep; then start again what its policy wants running."""
    known = {status.container_id: status for status in await context.supervisor.statuses()}
    await _discard_unborn(context, known)
    # Running ones first: what they hold must not be given to one that is restarted meanwhile.
    entries = sorted(context.store, key=lambda entry: not _lives(known.get(entry.id)))
    for entry in entries:
        try:
            await _settle(context, entry, known.pop(entry.id, None))
        except (BoxshipError, OSError) as failure:
            log.error(f"cannot recover container {entry.id[:12]}: {failure}")
    for container_id in known:
        await forget_process(context, container_id)
    _sweep(context)
    await context.networks.reconcile()
    for entry in entries:
        if _wants_to_run(entry):
            log.create_task(_revive(context, entry), f"revive {entry.id[:12]}")


async def _discard_unborn(context: Context, known: Container[str]) -> None:
    """Remove what is left of processes that were being made when keeper and daemon died."""
    for bundle in context.paths.bundle("x").parent.glob("*/"):
        if bundle.name in known:
            continue
        if (bundle / "config.json").exists():
            entry = context.store.get(bundle.name)
            runtime = () if entry is None else external_command(context, entry.container)
            await context.supervisor.discard(bundle.name, str(bundle), runtime)
        delete_tree(bundle)


def _lives(status: Status | None) -> bool:
    return status is not None and status.running and status.exit is None


async def _settle(context: Context, entry: Entry, status: Status | None) -> None:
    container = entry.container
    if container.state.status == "removing":
        await forget_process(context, entry.id)
        async with entry.lock:
            await remove_stopped(context, entry, volumes=container.volumes_go)
    elif status is None:
        await _settle_lost(context, entry)
    elif status.exit is not None:
        _assume_running(entry, status.pid, status.exit.at)
        await container_exited(context, entry, status.exit)
    elif status.running:
        await _adopt(context, entry, status)
    else:
        # The start was cut short before the program ran.
        await release(context, entry)
        _put_back(context, entry)


async def _settle_lost(context: Context, entry: Entry) -> None:
    """The keeper knows of no process: there is none, whatever the record says."""
    container = entry.container
    status = container.state.status
    if status in ("running", "paused"):
        ended = Exit(entry.id, None, LOST, oom_killed=False, at=context.clock())
        await container_exited(context, entry, ended)
    elif status == "restarting":
        schedule_restart(context, entry, FIRST_DELAY)
    elif container.user_base or any(e.endpoint_id for e in container.endpoints.values()):
        await release(context, entry)
        _put_back(context, entry)


def _assume_running(entry: Entry, pid: int, at: int) -> None:
    """It ran and ended before its start was recorded: complete the story."""
    state = entry.container.state
    if state.status not in ("running", "paused"):
        state = ContainerState(status="running", pid=pid, started_at=at)
        entry.container = msgspec.structs.replace(entry.container, state=state)


async def _adopt(context: Context, entry: Entry, status: Status) -> None:
    container = entry.container
    state = msgspec.structs.replace(
        container.state,
        status="paused" if status.paused else "running",
        pid=status.pid,
        started_at=container.state.started_at or context.clock(),
    )
    context.store.save(entry, msgspec.structs.replace(container, state=state))
    entry.log_end = Ending(done=False)
    if container.user_base:
        context.ranges.adopt(container.user_base)
    await _adopt_networks(context, entry)


async def _adopt_networks(context: Context, entry: Entry) -> None:
    container = entry.container
    joined = [each for each in container.endpoints.values() if each.endpoint_id]
    if not joined:
        return
    published = [port for port in container.ports if port.host_port]
    # One that ends in this moment has no namespace any more; its exit is about to be told.
    with suppress(NamespaceGoneError), network_namespace(container.state.pid) as namespace:
        await context.networks.adopt(sandbox_of(container, namespace), joined, published)
    if container.host.dns:
        context.networks.use_servers(container.id, container.host.dns)


def _put_back(context: Context, entry: Entry) -> None:
    """Record that a start came to nothing."""
    state = entry.container.state
    if state.running:
        state = msgspec.structs.replace(
            state, status="exited" if state.started_at else "created", pid=0
        )
    context.store.save(entry, msgspec.structs.replace(entry.container, state=state))


def _sweep(context: Context) -> None:
    context.trash.empty()
    for key in list(context.snapshots.active()):
        if not context.store.owns(key):
            log.info(f"removing left-over snapshot {key[:12]}")
            context.snapshots.remove(key)
    for directory in (context.paths.container_data("x").parent, context.paths.bundle("x").parent):
        for stray in _strays(context, directory):
            log.info(f"removing left-over directory {stray}")
            delete_tree(stray)


def _strays(context: Context, directory: Path) -> Iterable[Path]:
    if not directory.is_dir():
        return []
    return [path for path in directory.iterdir() if not context.store.owns(path.name)]


def _wants_to_run(entry: Entry) -> bool:
    container = entry.container
    state = container.state
    if entry.removed or state.status != "exited" or not state.started_at:
        return False
    ended = Ended(
        state.exit_code, container.restart_count, stopped_by_user=container.manually_stopped
    )
    return should_revive(container.host.restart, ended)


async def _revive(context: Context, entry: Entry) -> None:
    try:
        await start(context, entry)
    except (BoxshipError, OSError) as failure:
        log.warn(f"cannot start container {entry.id[:12]} again: {failure}")


async def shut_down(context: Context) -> None:
    """Let go of everything; containers run on."""
    for entry in context.store:
        entry.cancel_restart()
        for session in entry.pending:
            session.abandon()
    await asyncio.sleep(0)
