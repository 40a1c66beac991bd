"""What the parent does for a new process from outside, with the host's rights."""

import errno
import os
import stat

from boxship.errors import BoxshipError
from boxship.kernel import KernelError
from boxship.runtime import rootless, sync
from boxship.runtime.credentials import clamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.kernel.api import Kernel
    from boxship.runtime.plan import Plan
    from boxship.runtime.process import ProcessPlan

_FDS_PER_MESSAGE = 200


def set_up(
    kernel: "Kernel", channel: sync.Channel, pid: int, process: "ProcessPlan", plan: "Plan | None"
) -> "list[str]":
    """Do the parent's part and tell the child to go on, or why not.

    Args:
        kernel: the door to the kernel.
        channel: the parent's end of the sync socket.
        pid: the child.
        process: how it becomes its program.
        plan: the container's, None for an exec.

    Returns:
        Warnings: what was done in part only.
    """
    trees: list[int] = []
    warnings = list(process.warnings)
    try:
        if plan is not None and "user" in plan.namespaces.new:
            _map_ids(kernel, pid, plan)
        warnings += _raise_limits(kernel, pid, process)
        if process.tuning is not None:
            process.tuning.apply(kernel, pid)
        if plan is not None:
            warnings += _set_oom_score(kernel, pid, plan.oom_score)
            trees = _give(kernel, pid, plan)
        channel.send(sync.SETUP, trees[:_FDS_PER_MESSAGE])
        for start in range(_FDS_PER_MESSAGE, len(trees), _FDS_PER_MESSAGE):
            channel.send(sync.SETUP, trees[start : start + _FDS_PER_MESSAGE])
    except BoxshipError as error:
        channel.send_error(sync.OTHER, 0, str(error))
    except OSError as error:
        channel.send_error(sync.OTHER, error.errno or 0, str(error))
    finally:
        for tree in trees:
            kernel.close(tree)
    return warnings


def _map_ids(kernel: "Kernel", pid: int, plan: "Plan") -> None:
    if plan.unprivileged:
        rootless.write_maps(kernel, pid, plan.uid_map, plan.gid_map)
    else:
        kernel.write_uid_map(pid, plan.uid_map)
        kernel.write_gid_map(pid, plan.gid_map)


def _give(kernel: "Kernel", pid: int, plan: "Plan") -> "list[int]":
    """Move the links that the container shall have, and make the trees that only the host can."""
    if plan.devices:
        from boxship.runtime.netdevices import move_devices  # noqa: PLC0415 - rare

        move_devices(pid, plan.devices)
    return [] if plan.unprivileged else clone_trees(kernel, str(pid), plan)


def _raise_limits(kernel: "Kernel", pid: int, process: "ProcessPlan") -> "list[str]":
    warnings = []
    for kind, _, hard in process.limits:
        soft, allowed = kernel.limits(kind)
        if clamp(hard, allowed) == hard:
            continue
        try:
            kernel.set_limits(pid, kind, soft, hard)
        except KernelError as error:
            if error.errno != errno.EPERM:
                raise
            warnings.append(f"{kind} stays at {allowed}: raising it to {hard} is not permitted")
    return warnings


def _set_oom_score(kernel: "Kernel", pid: int, score: int | None) -> "list[str]":
    if score is None:
        return []
    try:
        kernel.write_text(f"/proc/{pid}/oom_score_adj", str(score))
    except KernelError as error:
        if error.errno not in (errno.EACCES, errno.EPERM):
            raise
        return [f"oom_score_adj stays as it is: lowering it to {score} is not permitted"]
    return []


def clone_trees(kernel: "Kernel", process: str, plan: "Plan") -> "list[int]":
    """Descriptors of the plan's trees.

    Args:
        kernel: the door to the kernel.
        process: entry of /proc of a process in the container's user namespace.
        plan: the container's.
    """
    userns = -1
    trees: list[int] = []
    if any(tree.options.idmap for tree in plan.trees) and plan.namespaces.has("user"):
        path = plan.namespaces.joined.get("user") or f"/proc/{process}/ns/user"
        userns = kernel.open_file(path, os.O_RDONLY)
    try:
        for tree in plan.trees:
            trees.append(tree.clone(kernel, userns))  # noqa: PERF401 - the finished part is closed on failure
    except BaseException:
        for descriptor in trees:
            kernel.close(descriptor)
        raise
    finally:
        if userns >= 0:
            kernel.close(userns)
    return trees


def own_pipes(fds: "tuple[int, int, int]", uid: int, gid: int) -> None:
    """Give pipes to a user of the host, so that a container's root may open /dev/stdout again."""
    for fd in fds:
        if fd >= 0 and stat.S_ISFIFO(os.fstat(fd).st_mode):
            try:
                os.fchown(fd, uid, gid)
            except PermissionError:
                # An ordinary user was handed somebody else's: it works but for opening it again.
                continue


def host_root(spec_map: "tuple[tuple[int, int, int], ...]") -> int:
    """The host id of a mapping's id 0; 0 when it has none."""
    return max(rootless.host_id(spec_map, 0), 0)
