"""The child's side of a start: from the clone to the program.

Runs between fork and exec, under the fork rule of `boxship.kernel.process`: everything it needs was
imported by the parent. Each `start_*` function never returns; whatever goes wrong goes home as an
ERROR message.
"""

import errno
import os

from boxship.errors import BoxshipError, InternalError, UnsupportedError
from boxship.kernel import KernelError, abi
from boxship.runtime import program, reaper, sync
from boxship.runtime.console import MakeTerminal, place_stdio
from boxship.runtime.credentials import LoadFilter
from boxship.runtime.errors import HookFailedError
from boxship.runtime.handover import clone_trees
from boxship.runtime.rootless import closed_by
from boxship.runtime.steps import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from boxship.kernel.api import Kernel
    from boxship.runtime.cgroups.api import Cgroup
    from boxship.runtime.hooks import HookRunner
    from boxship.runtime.plan import Plan
    from boxship.runtime.process import ProcessPlan
    from boxship.runtime.spawn import Stdio

_FAILED = 1
_SIGCHLD = 17


class Birth:
    """What every new process is born with.

    Attributes:
        kernel: the door to the kernel.
        channel: its end of the sync socket.
        stdio: descriptors to use as 0, 1 and 2.
        keep_keyring: stay in the parent's session keyring.
        preserve_fds: how many descriptors from 3 on the program keeps.
        gate: listening socket to wait on for GO, -1 to wait on the channel.
        cgroup: group to enter; None when the clone puts it there.
        directory: descriptor of the v2 group that the clone puts it into, -1 for none.
        userns: descriptor of a user namespace to enter, -1 for none.
        mounts: descriptor of a mount namespace to build the root in, -1 for a new one.
        unshare: clone flags of namespaces to make once it is entered.
        target: pidfd of the process whose namespaces an exec enters, -1 for a container.
        first: clone flags of the target's namespaces to enter before the clone that counts.
        filter: seccomp program and its flags.
        shield: program to execute the other from (boxship.kernel.shield), -1 for none.
    """

    __slots__ = (
        "cgroup",
        "channel",
        "directory",
        "filter",
        "first",
        "gate",
        "keep_keyring",
        "kernel",
        "mounts",
        "preserve_fds",
        "shield",
        "stdio",
        "target",
        "unshare",
        "userns",
    )

    def __init__(self, kernel: "Kernel", channel: sync.Channel, stdio: "Stdio") -> None:
        self.kernel = kernel
        self.channel = channel
        self.stdio = stdio
        self.preserve_fds = 0
        self.keep_keyring = False
        self.gate = -1
        self.cgroup: Cgroup | None = None
        self.userns = -1
        self.mounts = -1
        self.unshare = 0
        self.target = -1
        self.first = 0
        self.shield = -1
        self.directory = -1
        self.filter = (b"", 0)


def start_container(birth: Birth, plan: "Plan", hooks: "HookRunner | None") -> "NoReturn":
    """Become the first process of a container."""
    context: Context | None = None
    try:
        # An ordinary user's parent can map the ids of a readable process only.
        context = _wake(birth, plan.process, readable=plan.unprivileged)
        _enter_groups(birth)
        setup = _await_setup(birth)
        for step in plan.first:
            step.execute(context)
        _own_namespace(birth, separate=plan.namespaces.has("user"))
        if plan.unprivileged:
            context.trees = tuple(clone_trees(birth.kernel, "self", plan))
        else:
            context.trees = _gather(birth.channel, setup, len(plan.trees))
        for step in plan.build:
            step.execute(context)
        if hooks is not None:
            _run_hooks(birth, context, hooks)
        for step in plan.enter:
            step.execute(context)
        # No way back to the host's files by a descriptor (CVE-2024-21626).
        birth.mounts = -1
        _close_others(birth, context.master, context.terminal)
        _finish(birth, context, plan.process, hooks)
    except BaseException as error:  # noqa: BLE001 - it must not return into the parent's code
        if birth.mounts >= 0 and context is not None:
            from boxship.runtime.filesystem.joining import leave_mounts  # noqa: PLC0415 - rare

            leave_mounts(context)
        _report(birth.channel, error)
    os._exit(_FAILED)


def start_between(birth: Birth, channel: sync.Channel, flags: int) -> None:
    """Join the user namespace, clone the container's first process there and end.

    Returns in that process only, which goes on with start_container.
    """
    try:
        _enter_groups(birth)
        birth.cgroup, birth.userns, birth.unshare = None, -1, 0
        exit_signal = 0 if flags & abi.CLONE_PARENT else _SIGCHLD
        pid, pidfd = birth.kernel.clone(flags, exit_signal=exit_signal)
        if pid == 0:
            return
        channel.send(sync.SETUP, (pidfd,))
    except BaseException as error:  # noqa: BLE001 - it must not return into the parent's code
        _report(channel, error)
    os._exit(0)


def start_exec(birth: Birth, plan: "ProcessPlan", flags: int, *, separate: bool) -> "NoReturn":
    """Make one more process of a running container.

    A process cannot change its own pid namespace, only that of its children (pid_namespaces(7)).
    So the caller stays out of the container's sight while it has the host's rights, memory and
    descriptors: it joins the other namespaces, becomes the user, drops capabilities and loads the
    filter. What it clones at last is seen inside, and only executes the program.

    Args:
        birth: what it is born with.
        plan: what to become.
        flags: the namespaces of the target that are not the caller's already.
        separate: the target has a user namespace of its own.
    """
    try:
        context = _wake(birth, plan)
        _enter_groups(birth)
        _await_setup(birth)
        for step in plan.labels:
            step.execute(context)
        if flags & abi.CLONE_NEWPID:
            # As the host's root: another user namespace than the container's may own it.
            birth.kernel.setns(birth.target, abi.CLONE_NEWPID)
        birth.kernel.setns(birth.target, flags & ~abi.CLONE_NEWPID)
        os.close(birth.target)
        birth.target = -1
        _own_namespace(birth, separate=separate)
        context.root = birth.kernel.open_file("/", os.O_PATH | os.O_DIRECTORY)
        if plan.terminal:
            MakeTerminal(plan.size, console=False).execute(context)
        # Before what comes is seen inside, and before a filter that may forbid it.
        _close_others(birth, context.root, context.master, context.terminal)
        context.leader = not flags & abi.CLONE_NEWPID
        _finish(birth, context, plan, None)
    except BaseException as error:  # noqa: BLE001 - it must not return into the parent's code
        _report(birth.channel, error)
    os._exit(_FAILED)


def _be_born(birth: Birth, context: Context) -> None:
    """Go on as a process in the container's pid namespace; the caller ends."""
    kernel = birth.kernel
    os.close(context.root)
    context.root = -1
    pid, pidfd = kernel.clone(abi.CLONE_PARENT)
    if pid:
        birth.channel.send(sync.BORN, (pidfd,))
        os._exit(0)
    kernel.prctl(abi.PR_SET_DUMPABLE, 0)
    kernel.new_session()
    if not context.leader and context.terminal >= 0:
        kernel.set_controlling_terminal(context.terminal)
    context.leader = True


def _wake(birth: Birth, plan: "ProcessPlan", *, readable: bool = False) -> Context:
    kernel = birth.kernel
    if not readable:
        # Nobody in the container may read this memory or its descriptors (CVE-2016-9962).
        kernel.prctl(abi.PR_SET_DUMPABLE, 0)
    if not birth.stdio.terminal:
        place_stdio((birth.stdio.stdin, birth.stdio.stdout, birth.stdio.stderr))
    _close_others(birth)
    kernel.new_session()
    if not birth.keep_keyring:
        _own_keyring(kernel)
    kernel.set_umask(0)
    context = Context(kernel, dict(plan.environment))
    context.filter = birth.filter
    context.mounts = birth.mounts
    context.channel = birth.channel
    return context


def _own_keyring(kernel: "Kernel") -> None:
    """Have no keys of the host's session: namespaces do not separate them."""
    try:
        kernel.join_session_keyring()
    except KernelError as error:
        # No keys in this kernel, or whoever confines this one forbids keyctl: to the child too.
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise


def _close_others(birth: Birth, *more: int) -> None:
    """Let go of what belongs to the parent: a socket held here would never reach its end."""
    first = 3 + birth.preserve_fds
    own = (birth.gate, birth.userns, birth.mounts, birth.target, birth.shield)
    kept = {birth.channel.fileno(), *own, *more}
    for fd in sorted(fd for fd in kept if fd >= first):
        if fd > first:
            birth.kernel.close_range(first, fd - 1)
        first = fd + 1
    birth.kernel.close_range(first, 0xFFFFFFFF)


def _enter_groups(birth: Birth) -> None:
    # As the host's root, which owns the groups' files, so before any other user namespace.
    if birth.cgroup is not None:
        birth.cgroup.enter()
    if birth.first:
        birth.kernel.setns(birth.target, birth.first)
        birth.first = 0
    if birth.userns >= 0:
        birth.kernel.setns(birth.userns, abi.CLONE_NEWUSER)
        os.close(birth.userns)
        birth.userns = -1
        birth.kernel.unshare(birth.unshare)


def _await_setup(birth: Birth) -> sync.Message:
    setup = birth.channel.receive()
    if setup is None:
        os._exit(_FAILED)
    if setup.kind == sync.ERROR:
        # The parent failed: its words go to whoever waits for this process.
        birth.channel.send_error(setup.reason, setup.number, setup.text)
        os._exit(_FAILED)
    return setup


def _own_namespace(birth: Birth, *, separate: bool) -> None:
    """Become the user namespace's root: files made by an unmapped user are refused (EOVERFLOW)."""
    if separate:
        try:
            birth.kernel.set_group(0)
            birth.kernel.set_user(0)
        except KernelError as error:
            hint = closed_by() or "map id 0 in uidMappings and gidMappings"
            msg = f"cannot become root of the user namespace: {error.strerror}"
            raise UnsupportedError(msg, hint=hint) from error
        # Changing ids made it so already; said again because all that follows relies on it.
        birth.kernel.prctl(abi.PR_SET_DUMPABLE, 0)


def _gather(channel: sync.Channel, first: sync.Message, count: int) -> tuple[int, ...]:
    trees = list(first.fds)
    while len(trees) < count:
        more = channel.receive()
        if more is None:
            os._exit(_FAILED)
        trees += more.fds
    return tuple(trees)


def _run_hooks(birth: Birth, context: Context, hooks: "HookRunner") -> None:
    if hooks.needs_root:
        # They look for mounts where config.json says that the root is: the stage lies over that.
        birth.kernel.move_mount(context.root, context.stage)
    if hooks.needs_parent:
        birth.channel.send(sync.HOOKS)
        if birth.channel.receive() is None:
            raise InternalError("who creates this container is gone")
    hooks.run("createContainer")


def _finish(
    birth: Birth, context: Context, plan: "ProcessPlan", hooks: "HookRunner | None"
) -> None:
    if context.master >= 0:
        birth.channel.send(sync.CONSOLE, (context.master,))
        os.close(context.master)
    # Whatever is open beyond this is not the program's (CVE-2024-21626). Now, because a filter may
    # forbid it later; what is opened after it is close-on-exec, as all that Python opens.
    birth.kernel.close_range(3 + birth.preserve_fds, 0xFFFFFFFF, abi.CLOSE_RANGE_CLOEXEC)
    for step in plan.steps:
        if not context.leader and not plan.clones and isinstance(step, LoadFilter):
            # The filter forbids it later. With no_new_privs it is loaded last, without by root.
            _be_born(birth, context)
        step.execute(context)
    birth.channel.send(sync.READY)
    listener = _wait(birth)
    try:
        if hooks is not None:
            hooks.run("startContainer", 0, "created", context.environment)
        if not context.leader:
            _be_born(birth, context)
        program.default_signals()
        if birth.shield >= 0:
            context.shield = birth.shield if plan.descriptors else f"/proc/self/fd/{birth.shield}"
            # It knows this number only.
            if listener is not birth.channel:
                os.dup2(listener.fileno(), birth.channel.fileno())
            os.set_inheritable(birth.channel.fileno(), True)
        if plan.init:
            reaper.run(birth.kernel, context, plan.arguments, listener)
        program.become(context, plan.arguments)
    except BaseException as error:  # noqa: BLE001 - as in the callers
        _report(listener, error)
        os._exit(_FAILED)


def _wait(birth: Birth) -> sync.Channel:
    """Wait for GO; returns the channel on which to report what happens next."""
    while birth.gate >= 0:
        caller = sync.Channel(birth.gate).accept()
        message = caller.receive()
        if message is not None and message.kind == sync.GO:
            return caller
        caller.close()
    message = birth.channel.receive()
    if message is None or message.kind != sync.GO:
        os._exit(_FAILED)
    return birth.channel


def _report(channel: sync.Channel, error: BaseException) -> None:
    if isinstance(error, program.ProgramError):
        channel.send_error(error.reason, error.number, str(error))
    elif isinstance(error, HookFailedError):
        channel.send_error(sync.HOOK, 0, str(error))
    elif isinstance(error, BoxshipError):
        channel.send_error(sync.OTHER, 0, str(error))
    elif isinstance(error, KernelError):
        channel.send_error(sync.OTHER, error.errno or 0, str(error))
    else:
        number = error.errno or 0 if isinstance(error, OSError) else 0
        channel.send_error(sync.OTHER, number, f"{type(error).__name__}: {error}")
