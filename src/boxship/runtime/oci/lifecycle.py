"""The commands of the OCI runtime on a container that was created: start, kill, delete.

`create` is in boxship.runtime.oci.creation, which these need not import; `run` and `exec` are in
boxship.runtime.oci.foreground.
"""

import _socket
import errno
import os

from boxship.errors import ConflictError, NotFoundError
from boxship.kernel import KernelError
from boxship.runtime import sync
from boxship.runtime.errors import HookFailedError, StartFailedError
from boxship.runtime.oci.rendezvous import connect
from boxship.runtime.oci.report import REPORT
from boxship.runtime.oci.state import DamagedError, Record, Store, group, is_alive, oci_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.kernel.api import Kernel
    from boxship.runtime.hooks import HookRunner

_KILL_WAIT_SECONDS = 10.0
_SIGKILL = 9


def start(kernel: "Kernel", store: Store, container_id: str) -> None:
    """Let a created container's program run.

    A hook that fails ends the container and deletes it (OCI runtime spec, "Lifecycle").

    Raises:
        ConflictError: it is not in the state `created`.
        StartFailedError: the program could not be executed, or a startContainer hook failed.
        HookFailedError: a poststart hook failed.
    """
    record = store.load(container_id)
    status = store.status(record)
    if status != "created":
        raise ConflictError(f"cannot start container {container_id}: it is {status}")
    path = f"{store.directory(container_id)}/start.sock"
    caller = connect(path, _socket.SOCK_SEQPACKET)
    os.unlink(path)  # noqa: PTH108 - pathlib is slow to import
    channel = sync.Channel(caller.detach())
    channel.send(sync.GO)
    try:
        expect_program(channel)
        hooks = runner_of(kernel, record)
        if hooks is not None:
            hooks.run("poststart", record.pid, "running")
    except (StartFailedError, HookFailedError) as error:
        if error.reason == sync.HOOK:
            _kill_and_wait(kernel, record)
            release(kernel, store, record)
        raise


def expect_program(channel: sync.Channel) -> None:
    """Wait until the program runs.

    Raises:
        StartFailedError: it does not.
    """
    answer = channel.receive()
    channel.close()
    if answer is not None:
        raise StartFailedError(answer.reason, answer.text)


def kill(kernel: "Kernel", store: Store, container_id: str, signal: int, *, everyone: bool) -> None:
    """Signal a container's first process, or all its processes.

    Raises:
        ConflictError: it does not run.
    """
    record = store.load(container_id)
    status = store.status(record)
    if not everyone and status in ("stopped", "creating"):
        raise ConflictError("container not running")
    if everyone and signal == _SIGKILL:
        group(record).kill()
        return
    if everyone:
        for pid in group(record).processes():
            _signal_process(kernel, pid, signal)
    else:
        _signal_first(kernel, record, signal)
    if signal == _SIGKILL and status == "paused":
        # Frozen by version 1 it would not end.
        group(record).thaw()


def delete(kernel: "Kernel", store: Store, container_id: str, *, force: bool) -> None:
    """Release everything a container holds.

    Args:
        kernel: the door to the kernel.
        store: where it is remembered.
        container_id: the container.
        force: kill it first; and a missing container is no error.

    Raises:
        ConflictError: it still runs.
        NotFoundError: there is no such container.
        DamagedError: its record cannot be read, and no force was asked for.
    """
    try:
        record = store.load(container_id)
    except NotFoundError:
        # A directory without a record is one that `create` is at work in, or what it left when it
        # was killed: only who asks for force may take it away.
        if not force:
            raise
        store.forget(container_id)
        return
    except DamagedError as error:
        if not force:
            raise
        REPORT.warn(f"{error.message}: what it left is not known")
        store.forget(container_id)
        return
    status = store.status(record)
    if status not in ("stopped", "created") and not force:
        msg = f"cannot delete container {container_id} that is not stopped: {status}"
        raise ConflictError(msg, hint="kill it first, or use --force")
    if status != "stopped" and record.pid:
        _kill_and_wait(kernel, record)
    release(kernel, store, record)


def release(kernel: "Kernel", store: Store, record: Record) -> None:
    """Forget a container that has ended."""
    destroy(record)
    hooks = runner_of(kernel, record)
    store.forget(record.id)
    if hooks is not None:
        for warning in hooks.run_poststop():
            REPORT.warn(warning)


def runner_of(kernel: "Kernel", record: Record) -> "HookRunner | None":
    """Runs the hooks of a container; None when it has none."""
    listed = record.spec.get("hooks")
    if not listed or not any(listed.values()):
        return None
    from boxship.runtime.hooks import HookRunner  # noqa: PLC0415 - most have none

    state = oci_state(record, "creating")
    return HookRunner(kernel, listed, state)


def _open_first(kernel: "Kernel", record: Record) -> int:
    """A pidfd of a container's first process; -1 when it has ended.

    Opened first and looked at then: its number may be another process's by now, but not from here
    on while the one that was opened is there.
    """
    pidfd = _open_process(kernel, record.pid)
    if pidfd < 0:
        return -1
    try:
        same = is_alive(kernel, record.pid, record.start_time)
    except BaseException:
        kernel.close(pidfd)
        raise
    if not same:
        kernel.close(pidfd)
        return -1
    return pidfd


def _open_process(kernel: "Kernel", pid: int) -> int:
    try:
        return kernel.pidfd_open(pid)
    except KernelError as error:
        if error.errno != errno.ESRCH:
            raise
        return -1


def _signal_first(kernel: "Kernel", record: Record, signal: int) -> None:
    pidfd = _open_first(kernel, record)
    if pidfd < 0:
        raise ConflictError("container not running")
    try:
        _signal(kernel, pidfd, signal)
    finally:
        kernel.close(pidfd)


def _signal_process(kernel: "Kernel", pid: int, signal: int) -> None:
    pidfd = _open_process(kernel, pid)
    if pidfd < 0:
        return
    try:
        _signal(kernel, pidfd, signal)
    finally:
        kernel.close(pidfd)


def _signal(kernel: "Kernel", pidfd: int, signal: int) -> None:
    """Signal a process; no error when it has ended."""
    try:
        kernel.pidfd_send_signal(pidfd, signal)
    except KernelError as error:
        if error.errno != errno.ESRCH:
            raise


def _kill_and_wait(kernel: "Kernel", record: Record) -> None:
    from select import POLLIN, poll  # noqa: PLC0415 - only where something still runs

    pidfd = _open_first(kernel, record)
    if pidfd < 0:
        return
    try:
        group(record).kill()
        _signal(kernel, pidfd, _SIGKILL)
        poller = poll()
        poller.register(pidfd, POLLIN)
        if not poller.poll(_KILL_WAIT_SECONDS * 1000):
            raise ConflictError(f"container {record.id} does not end after SIGKILL")
    finally:
        kernel.close(pidfd)


def destroy(record: Record) -> None:
    """End what is left of a container and remove its control group."""
    cgroup = group(record)
    if not cgroup.exists():
        return
    if cgroup.processes():
        cgroup.kill()
    try:
        cgroup.remove()
    except ConflictError:
        # Processes that were moved: they are in the group on some of its hierarchies only.
        cgroup.kill()
        cgroup.remove()
