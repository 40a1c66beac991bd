"""Make a container's first process, or one more process in a running container.

Runs in a process with one thread (the launcher, or the OCI command line) and keeps no state but
what it learned about the machine.
"""

import errno
import os
import posixpath

from boxship.errors import (
    ConflictError,
    ForbiddenError,
    InternalError,
    NotFoundError,
    UnsupportedError,
)
from boxship.kernel import KernelError, abi, process, seccomp, shield
from boxship.runtime import init, rootless, sync
from boxship.runtime.cgroups import detect, open_cgroup
from boxship.runtime.filesystem.cgroupfs import cgroup_owner
from boxship.runtime.filesystem.rootfs import id_ranges
from boxship.runtime.handover import host_root, own_pipes, set_up
from boxship.runtime.plan import make_plan
from boxship.runtime.position import (
    Position,
    close_all,
    open_namespace,
    open_namespaces,
    other_namespaces,
)
from boxship.runtime.process import plan_process
from boxship.runtime.requests import ExecRequest, RootMount, Spawned, SpawnRequest, Stdio

TYPE_CHECKING = False  # the typing module would be half of the launcher's start time
if TYPE_CHECKING:
    from typing import Any

    from boxship.kernel.api import Kernel
    from boxship.kernel.probe import Features
    from boxship.runtime.cgroups import Hierarchies
    from boxship.runtime.cgroups.api import Cgroup
    from boxship.runtime.plan import Plan
    from boxship.runtime.process import ProcessPlan

__all__ = ["ExecRequest", "RootMount", "SpawnRequest", "Spawned", "Stdio", "spawn", "spawn_exec"]

_SIGCHLD = 17
# A version 2 group takes no processes: it hands controllers down, or is below a threaded one.
_NO_PLACE = (errno.EBUSY, errno.EOPNOTSUPP)


class Host:
    """What a process learns about its machine once.

    Attributes:
        features: what the kernel can do.
        hierarchies: where control groups are.
        exposed: this interpreter's file could be written to from a container that shares the
            host's user namespace.
        unprivileged: this process has no rights over the machine.
        lacks_groups: control groups may be out of its reach.
    """

    __slots__ = ("exposed", "features", "hierarchies", "lacks_groups", "unprivileged")

    def __init__(
        self,
        features: "Features",
        hierarchies: "Hierarchies",
        *,
        exposed: bool,
        unprivileged: bool,
        lacks_groups: bool,
    ) -> None:
        self.unprivileged = unprivileged
        self.lacks_groups = lacks_groups
        self.features = features
        self.hierarchies = hierarchies
        self.exposed = exposed


_hosts: dict[type, Host] = {}


def host(kernel: "Kernel") -> Host:
    """The machine, probed at the first call."""
    known = _hosts.get(type(kernel))
    if known is None:
        known = _hosts[type(kernel)] = Host(
            kernel.probe(),
            detect(),
            exposed=shield.is_needed(),
            unprivileged=rootless.is_unprivileged(kernel),
            lacks_groups=rootless.lacks_groups(kernel),
        )
    return known


def cgroup_path(spec: "dict[str, Any]", container_id: str) -> str:
    """The control group of a container, below each hierarchy's mount point."""
    return (spec.get("linux") or {}).get("cgroupsPath") or f"/boxship/{container_id}"


def usable_path(kernel: "Kernel", spec: "dict[str, Any]", container_id: str) -> str:
    """As cgroup_path, for who may be an ordinary user: empty when no group may be made.

    Without a path in the spec, a group below the caller's own will do.
    """
    path = cgroup_path(spec, container_id)
    machine = host(kernel)
    if not machine.lacks_groups:
        return path
    candidates = [path]
    hierarchies = machine.hierarchies
    if hierarchies.version == 2 and not (spec.get("linux") or {}).get("cgroupsPath"):
        from boxship.runtime.cgroups.own import own_paths  # noqa: PLC0415 - rootless only

        candidates.append(f"{own_paths().get('', '').rstrip('/')}/boxship-{container_id}")
    return next((p for p in candidates if open_cgroup(hierarchies, p).permitted()), "")


def spawn(kernel: "Kernel", request: SpawnRequest) -> Spawned:
    """Clone a container's first process and hand it everything it needs to build its root.

    Returns as soon as the namespaces exist and the id maps are written; the process builds its
    root meanwhile and reports READY or ERROR on the sync socket. What fails after the clone is
    reported there too, so that there is one place to wait.
    A spec that joins a user namespace and makes a new pid namespace needs two clones: the caller's
    parent must then be a child subreaper (prctl(2), PR_SET_CHILD_SUBREAPER) when `sibling` is set.

    Raises:
        BoxshipError: the spec asks for what this host cannot do, or the cgroup cannot be made.
        KernelError: a system call failed.
    """
    machine = host(kernel)
    path = request.cgroup
    if path is None:
        path = usable_path(kernel, request.spec, request.id)
    cgroup = _group(machine, path) or _absent(machine)
    plan = make_plan(request, machine.features, cgroup.mounts(), unprivileged=machine.unprivileged)
    if request.debug:
        from boxship.runtime.oci.report import REPORT  # noqa: PLC0415 - the command line's

        REPORT.explain([f"plan: {line}" for line in plan.describe()])
    existed = cgroup.exists()
    try:
        cgroup.create()
        if not request.sibling:
            _check_thawed(cgroup)
        resources = (request.spec.get("linux") or {}).get("resources") or {}
        warnings = cgroup.apply(resources)
        _delegate(machine, request, cgroup)
        spawned = _start(kernel, request, plan, cgroup)
    except BaseException:
        if not existed:
            cgroup.remove()
        raise
    spawned.warnings = (*warnings, *spawned.warnings)
    return spawned


def _check_thawed(cgroup: "Cgroup") -> None:
    if cgroup.frozen():
        # What enters it stands still, and so would the command that waits for it; the engine waits
        # beside other work.
        msg = f"cannot make a container in cgroup {cgroup.path}: it is frozen"
        raise ConflictError(msg, hint="thaw it, and the groups above it")


def _delegate(machine: Host, request: SpawnRequest, cgroup: "Cgroup") -> None:
    uid = cgroup_owner(request.spec)
    # An ordinary user's container is that user's already.
    if uid is not None and not machine.unprivileged:
        cgroup.delegate(uid)


def spawn_exec(kernel: "Kernel", request: ExecRequest) -> Spawned:
    """Clone a process that enters the namespaces and the cgroup of a running container.

    The same messages follow as for `spawn`, without HOOKS. The one that is cloned here never is
    visible in the container; BORN tells of the one that is, and takes its place.

    Raises:
        NotFoundError: the container's process is gone.
        KernelError: a system call failed.
    """
    machine = host(kernel)
    plan = plan_process(request.process, request.spec, machine.features, joining=True)
    ours, theirs = sync.pair()
    birth = init.Birth(kernel, theirs, request.stdio)
    try:
        birth.target, flags = _find(kernel, request)
        _equip(birth, request, plan, _group(machine, request.cgroup, request.subgroup))
        separate = bool(flags & abi.CLONE_NEWUSER)
        _protect(birth, machine, separate=separate)
        if separate and machine.unprivileged:
            # Its other namespaces are open to who has entered its user namespace only.
            birth.first = flags & (abi.CLONE_NEWUSER | abi.CLONE_NEWPID)
            flags &= ~birth.first
        try:
            pid, pidfd = _clone_guest(birth, plan, sibling=request.sibling)
        except KernelError as error:
            if error.errno not in _NO_PLACE or not _move_down(birth, machine, request):
                raise
            pid, pidfd = _clone_guest(birth, plan, sibling=request.sibling)
        if pid == 0:
            init.start_exec(birth, plan, flags, separate=separate)
    except BaseException:
        ours.close()
        raise
    finally:
        _release(birth)
    warnings = set_up(kernel, ours, pid, plan, None)
    return Spawned(pid, pidfd, ours.detach(), tuple(warnings))


def _move_down(birth: init.Birth, machine: Host, request: ExecRequest) -> bool:
    """Aim at the group that the container's first process moved to; whether there is one.

    A version 2 group that hands controllers down takes no processes, as in a container that runs an
    engine or an init system of its own.
    """
    from boxship.runtime.cgroups.own import own_paths  # noqa: PLC0415 - hardly ever needed

    path = own_paths(f"/proc/{request.pid}/cgroup").get("", "")
    if request.subgroup or birth.directory < 0 or not path.startswith(f"{request.cgroup}/"):
        return False
    birth.kernel.close(birth.directory)
    birth.directory = open_cgroup(machine.hierarchies, path).open_directory()
    return True


def _find(kernel: "Kernel", request: ExecRequest) -> tuple[int, int]:
    """A pidfd of the container's process, and in which namespaces it is not with us."""
    target = -1
    try:
        target = os.dup(request.target) if request.target >= 0 else kernel.pidfd_open(request.pid)
        flags = _foreign(request.pid)
        # While it is there nothing else can have had its number, so what was read is its own.
        kernel.pidfd_send_signal(target, 0)
    except (OSError, ForbiddenError) as error:
        if target >= 0:
            kernel.close(target)
        if not isinstance(error, OSError) or error.errno != errno.ESRCH:
            raise
        raise NotFoundError(f"container process {request.pid} is gone") from error
    return target, flags


def _start(kernel: "Kernel", request: SpawnRequest, plan: "Plan", cgroup: "Cgroup") -> Spawned:
    ours, theirs = sync.pair()
    birth = init.Birth(kernel, theirs, request.stdio)
    birth.gate = request.gate
    birth.keep_keyring = request.keep_keyring
    joined: list[tuple[int, int]] = []
    try:
        _equip(birth, request, plan.process, cgroup)
        _protect(birth, host(kernel), separate=plan.namespaces.has("user"))
        joined = open_namespaces(kernel, plan.namespaces.joined_by_parent())
        if "mount" in plan.namespaces.joined:
            from boxship.runtime.filesystem.joining import open_mounts  # noqa: PLC0415 - rare

            birth.mounts = open_mounts(kernel, plan.namespaces.joined["mount"])
        clocks = "" if plan.unprivileged else plan.clocks
        with Position(kernel, _stage_place(request), joined, clocks):
            if "user" in plan.namespaces.joined:
                pid, pidfd = _clone_inside(birth, plan, sibling=request.sibling)
            else:
                pid, pidfd = _clone_own(birth, plan, cgroup, sibling=request.sibling)
            if pid == 0:
                init.start_container(birth, plan, request.hooks)
    except BaseException:
        ours.close()
        raise
    finally:
        _release(birth)
        close_all(kernel, joined)
    warnings = set_up(kernel, ours, pid, plan.process, plan)
    return Spawned(pid, pidfd, ours.detach(), tuple(warnings))


def _stage_place(request: SpawnRequest) -> str:
    """A directory that the child may cover: nothing in it is looked up by the child."""
    path = (request.spec.get("root") or {}).get("path") or ""
    directory = posixpath.join(request.bundle, path)
    return directory if os.path.isdir(directory) else request.bundle  # noqa: PTH112 - slow


def _equip(
    birth: init.Birth,
    request: SpawnRequest | ExecRequest,
    plan: "ProcessPlan",
    cgroup: "Cgroup | None",
) -> None:
    birth.preserve_fds = request.preserve_fds
    if plan.profile:
        if request.sibling and seccomp.needs_listener(plan.profile):
            msg = "the engine has no seccomp agent for SCMP_ACT_NOTIFY"
            raise UnsupportedError(msg, hint="boxship-runtime takes such profiles")
        program = seccomp.compile_filter(plan.profile, request.cache)
        birth.filter = (program, seccomp.filter_flags(plan.profile))
    stdio, linux = request.stdio, request.spec.get("linux") or {}
    uid = host_root(id_ranges(linux.get("uidMappings")))
    if uid and not stdio.terminal:
        gid = host_root(id_ranges(linux.get("gidMappings")))
        own_pipes((stdio.stdin, stdio.stdout, stdio.stderr), uid, gid)
    birth.directory = -1 if cgroup is None else cgroup.open_directory()
    if birth.directory < 0:
        birth.cgroup = cgroup


def _release(birth: init.Birth) -> None:
    """Close what only the child needs."""
    birth.channel.close()
    opened = (birth.userns, birth.mounts, birth.target, birth.shield, birth.directory)
    for descriptor in opened:
        if descriptor >= 0:
            birth.kernel.close(descriptor)


def _protect(birth: init.Birth, machine: Host, *, separate: bool) -> None:
    """Keep the interpreter from being written to by the container's root (CVE-2019-5736).

    Raises:
        UnsupportedError: it cannot be done on this machine from this file.
    """
    if not machine.exposed:
        return
    if separate and not (machine.unprivileged and rootless.owns_interpreter()):
        return
    if not shield.is_supported():
        msg = "this interpreter could be overwritten from the container"
        raise UnsupportedError(msg, hint="run boxship-runtime's python from a read-only mount")
    birth.shield = shield.make(birth.channel.fileno())


def _group(machine: Host, path: str, subgroup: str = "") -> "Cgroup | None":
    if not path:
        return None
    if subgroup:
        return open_cgroup(machine.hierarchies, subgroup, around=path)
    return open_cgroup(machine.hierarchies, path)


def _absent(machine: Host) -> "Cgroup":
    from boxship.runtime.cgroups.absent import AbsentCgroup  # noqa: PLC0415 - rootless only

    return AbsentCgroup(machine.hierarchies, by_choice=not machine.lacks_groups)


def _foreign(pid: int) -> int:
    try:
        return other_namespaces(pid)
    except PermissionError as error:
        # It is not dumpable before its program runs.
        msg = f"container process {pid} cannot be entered by this user"
        hint = "without root, exec works for containers of one's own and after start"
        raise ForbiddenError(msg, hint=hint) from error


def _clone_guest(birth: init.Birth, plan: "ProcessPlan", *, sibling: bool) -> tuple[int, int]:
    """Clone a process for an exec, on the processors it is to start on."""
    kernel, clone = birth.kernel, _clone_between if birth.first else _clone
    if plan.tuning is None or not plan.tuning.initial:
        return clone(birth, 0, sibling=sibling)
    before, pid, pidfd = kernel.affinity(), -1, -1
    kernel.set_affinity(plan.tuning.initial)
    try:
        pid, pidfd = clone(birth, 0, sibling=sibling)
    finally:
        if pid:
            kernel.set_affinity(before)
    return pid, pidfd


def _clone_own(
    birth: init.Birth, plan: "Plan", cgroup: "Cgroup", *, sibling: bool
) -> tuple[int, int]:
    try:
        return _clone(birth, plan.clone_flags(), sibling=sibling)
    except KernelError as error:
        if not plan.unprivileged:
            raise
        raise rootless.explain_clone(error, cgroup.path) from error


def _clone(birth: init.Birth, flags: int, *, sibling: bool) -> tuple[int, int]:
    if sibling:
        return birth.kernel.clone(flags | abi.CLONE_PARENT, cgroup=birth.directory)
    return birth.kernel.clone(flags, exit_signal=_SIGCHLD, cgroup=birth.directory)


def _clone_inside(birth: init.Birth, plan: "Plan", *, sibling: bool) -> tuple[int, int]:
    """Clone a child that joins a user namespace and makes the other namespaces there."""
    birth.userns = open_namespace(birth.kernel, "user", plan.namespaces.joined["user"])
    flags = plan.clone_flags()
    if not plan.needs_two_clones:
        birth.unshare = flags
        return _clone(birth, 0, sibling=sibling)
    return _clone_between(birth, flags, sibling=sibling)


def _clone_between(birth: init.Birth, flags: int, *, sibling: bool) -> tuple[int, int]:
    """Clone from a helper that enters the user namespace, and ends."""
    left, right = sync.pair()
    helper, helper_pidfd = _clone(birth, 0, sibling=False)
    if helper == 0:
        init.start_between(birth, right, flags if sibling else flags | abi.CLONE_PARENT)
        # Only the grandchild gets here: it goes on as the child.
        return 0, -1
    right.close()
    birth.kernel.close(helper_pidfd)
    answer = left.receive()
    left.close()
    # Its end makes the subreaper above the parent of what it cloned.
    os.waitpid(helper, 0)
    if answer is None or not answer.fds:
        reason = "" if answer is None else answer.text
        raise InternalError(f"cannot clone in the joined user namespace: {reason}")
    return process.pidfd_pid(answer.fds[0]), answer.fds[0]
