"""start: run a container's process.

The steps, each with its undo: id range and shared namespaces, bind sources and volumes, files
under /etc, bundle, process (its child builds the root file system from here on), networks and
ports meanwhile, attached clients, go.
"""

from contextlib import AsyncExitStack, suppress

import msgspec

from boxship import log
from boxship.engine.containers.attach import bind_pending
from boxship.engine.containers.bundle import write_bundle
from boxship.engine.containers.network import NamespaceGoneError, join_networks, reserve_networks
from boxship.engine.containers.prepare import prepare_mounts
from boxship.engine.containers.remove import remove_stopped
from boxship.engine.containers.runtimes import command_of
from boxship.engine.containers.spec import container_spec
from boxship.engine.containers.store import Entry
from boxship.engine.context import Context
from boxship.engine.logs.options import rotation
from boxship.engine.logs.reader import Ending
from boxship.engine.sandboxes import files
from boxship.engine.sandboxes.sandbox import open_sandbox
from boxship.errors import (
    BoxshipError,
    ConflictError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    NotModifiedError,
)
from boxship.model.container import Container, ContainerState, PublishedPort
from boxship.runtime.errors import StartFailedError
from boxship.runtime.keeper.messages import LogTarget
from boxship.runtime.supervisor import CreateRequest

_NEVER_RAN = 128
"""Exit code of a container that failed before its program could be tried."""


async def start(context: Context, entry: Entry) -> None:
    """Run the process.

    Raises:
        NotModifiedError: it runs already.
        ConflictError: it is paused or being removed.
        InvalidArgumentError: its program cannot be executed.
    """
    async with entry.lock:
        state = entry.container.state
        if state.status == "paused":
            raise ConflictError("cannot start a paused container, try unpause instead")
        if entry.removed or state.status in ("removing", "dead"):
            raise ConflictError("container is marked for removal and cannot be started")
        if state.running and state.status != "restarting":
            raise NotModifiedError(f"container {entry.id} is already running")
        entry.cancel_restart()
        entry.delay = 0.0
        entry.container = msgspec.structs.replace(
            entry.container, manually_stopped=False, restart_count=0
        )
        try:
            await _launch(context, entry)
        except BaseException:
            if entry.container.host.auto_remove:
                await remove_stopped(context, entry, volumes=True)
            raise


async def start_again(context: Context, entry: Entry) -> None:
    """Run the process once more for its restart policy; a failure ends the policy's tries.

    The caller holds the lock.
    """
    try:
        await _launch(context, entry)
    except (BoxshipError, OSError) as failure:
        log.warn(f"cannot restart container {entry.id[:12]}: {failure}")
        entry.tell("not-running")


async def _launch(context: Context, entry: Entry) -> None:
    entry.stopping = False
    try:
        async with AsyncExitStack() as undo:
            await _run(context, entry, undo)
            undo.pop_all()
    except BaseException as failure:
        _record_failure(context, entry, failure)
        for session in entry.pending:
            session.abandon()
        entry.pending.clear()
        if isinstance(failure, StartFailedError):
            raise _in_dockers_words(failure) from failure
        raise


async def _run(context: Context, entry: Entry, undo: AsyncExitStack) -> None:
    container = entry.container
    runtime = command_of(context, container)
    sandbox = open_sandbox(context, container, undo, external=bool(runtime))
    mounts = prepare_mounts(context, container, undo)
    endpoints = reserve_networks(context, container, undo)
    container = msgspec.structs.replace(container, endpoints=endpoints, user_base=sandbox.user_base)
    files.write_files(context, container)
    spec = container_spec(context, container, sandbox, mounts)
    bundle = write_bundle(context, container, spec, undo)
    try:
        request = _request(context, container, str(bundle))._replace(runtime=runtime)
    except NotFoundError:
        # A power cut may have cost layers; their blobs are safe.
        await _unpack_again(context, container)
        request = _request(context, container, str(bundle))._replace(runtime=runtime)
    pid = await context.supervisor.create(request)
    undo.push_async_callback(context.supervisor.delete, entry.id)
    ports: tuple[PublishedPort, ...] = ()
    if endpoints:
        # A child that ended already has no namespace left; asking to start it tells why.
        with suppress(NamespaceGoneError):
            ports = await join_networks(context, container, pid, undo)
    container = msgspec.structs.replace(container, ports=ports)
    # What the networks gave must be on record before the process can outlive a crash of ours.
    context.store.save(entry, container)
    await bind_pending(context, entry)
    entry.log_end = Ending(done=False)
    # Before the process can end: an exit that is older than this belongs to an earlier run.
    began = context.clock()
    await context.supervisor.start(entry.id)
    state = ContainerState(status="running", pid=pid, started_at=began)
    context.store.save(entry, msgspec.structs.replace(entry.container, state=state))
    context.tell(entry, "start")


async def _unpack_again(context: Context, container: Container) -> None:
    image = context.images.find(container.image_id)
    if image is not None:
        await context.images.ensure_unpacked(image)


def _request(context: Context, container: Container, bundle: str) -> CreateRequest:
    target: LogTarget | None = None
    if container.log_path:
        target = LogTarget(container.log_path, *rotation(container.host.log))
    mounts = context.snapshots.mounts(container.snapshot, volatile=container.host.auto_remove)
    return CreateRequest(
        id=container.id,
        bundle=bundle,
        rootfs=mounts,
        terminal=container.config.tty,
        open_stdin=container.config.open_stdin,
        stdin_once=container.config.stdin_once,
        log=target,
    )


def _record_failure(context: Context, entry: Entry, failure: BaseException) -> None:
    entry.log_end.finish()
    container = entry.container
    before = container.state
    code = failure.exit_code if isinstance(failure, StartFailedError) else _NEVER_RAN
    words = failure.message if isinstance(failure, BoxshipError) else str(failure)
    state = ContainerState(
        status="exited" if before.started_at else "created",
        exit_code=code,
        error=words,
        started_at=before.started_at,
        finished_at=before.finished_at,
    )
    context.store.save(
        entry,
        msgspec.structs.replace(
            container,
            state=state,
            endpoints={
                name: files.idle(endpoint) for name, endpoint in container.endpoints.items()
            },
            ports=(),
            user_base=0,
        ),
    )


def _in_dockers_words(failure: StartFailedError) -> BoxshipError:
    """The runtime's words in the frame that clients look for to choose their exit code."""
    text = (
        "failed to create task for container: OCI runtime create failed: "
        f"unable to start container process: {failure.message}: unknown"
    )
    if failure.reason in ("not_found", "permission"):
        return InvalidArgumentError(text, hint=failure.hint)
    return InternalError(text, hint=failure.hint)
