"""What `spawn` is asked for, and what it answers."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.runtime.hooks import HookRunner


class RootMount:
    """A mount of the root file system, as a store hands it out (`boxship.model.mount.Mount`).

    Attributes:
        type: `overlay` or `bind`.
        source: directory to bind; a name otherwise.
        options: fstab-style (`lowerdir=a:b`, `upperdir=`, `workdir=`, `ro`, `volatile`).
    """

    __slots__ = ("options", "source", "type")

    def __init__(self, type: str, source: str, options: tuple[str, ...] = ()) -> None:  # noqa: A002
        self.type = type
        self.source = source
        self.options = options


class Stdio:
    """The descriptors a process gets as 0, 1 and 2; ignored with a terminal.

    Attributes:
        terminal: make a pseudo terminal in the container and send its master as CONSOLE.
    """

    __slots__ = ("stderr", "stdin", "stdout", "terminal")

    def __init__(self, stdin: int, stdout: int, stderr: int, *, terminal: bool = False) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.terminal = terminal


class SpawnRequest:
    """What to make a container from.

    Attributes:
        id: container id, for messages and the cgroup's default path.
        bundle: absolute path of the bundle.
        spec: the bundle's OCI runtime document, with the engine's extensions.
        rootfs: how to mount the root; empty to take the bundle's root directory as it is.
        stdio: descriptors of the process.
        sibling: make it a child of this process's parent (the launcher's way), not of this one.
        debug: tell the plan (boxship.runtime.oci.report).
        preserve_fds: how many descriptors from 3 on the program keeps.
        gate: listening SEQPACKET socket on which the process waits for GO instead of the sync
            socket, so that its maker may end; -1 for none.
        no_pivot: chroot instead of pivot_root, for a host that runs from an initramfs.
        keep_keyring: the program has the caller's session keyring, not a new one.
        listeners: how many of the descriptors that it keeps are sockets handed to it as a service
            (sd_listen_fds(3)).
        hooks: runs the spec's hooks; None when there are none.
        cache: directory for compiled seccomp programs, only root's to write; empty for none.
        cgroup: path of its control group, empty for none; None to look for a usable one.
    """

    __slots__ = (
        "bundle",
        "cache",
        "cgroup",
        "debug",
        "gate",
        "hooks",
        "id",
        "keep_keyring",
        "listeners",
        "no_pivot",
        "preserve_fds",
        "rootfs",
        "sibling",
        "spec",
        "stdio",
    )

    def __init__(  # noqa: PLR0913 - a value object's fields
        self,
        *,
        id: str,  # noqa: A002
        bundle: str,
        spec: "dict[str, Any]",
        stdio: Stdio,
        rootfs: tuple[RootMount, ...] = (),
        sibling: bool = False,
        debug: bool = False,
        preserve_fds: int = 0,
        gate: int = -1,
        no_pivot: bool = False,
        keep_keyring: bool = False,
        listeners: int = 0,
        hooks: "HookRunner | None" = None,
        cache: str = "",
        cgroup: str | None = None,
    ) -> None:
        self.cgroup = cgroup
        self.id = id
        self.bundle = bundle
        self.spec = spec
        self.stdio = stdio
        self.rootfs = rootfs
        self.sibling = sibling
        self.debug = debug
        self.preserve_fds = preserve_fds
        self.gate = gate
        self.no_pivot = no_pivot
        self.keep_keyring = keep_keyring
        self.listeners = listeners
        self.hooks = hooks
        self.cache = cache


class ExecRequest:
    """What to start in a running container.

    Attributes:
        pid: the container's first process, as the host sees it.
        spec: the container's OCI runtime document (for seccomp and the cgroup).
        process: OCI process object of the new process.
        cgroup: path of the container's cgroup; empty to stay in the caller's.
        subgroup: path of a group below it, to run in; empty for the container's.
        stdio: descriptors of the process.
        sibling: as in SpawnRequest.
        preserve_fds: as in SpawnRequest.
        cache: as in SpawnRequest.
        target: a pidfd of `pid`, which stays the caller's; -1 to look it up by its number.
    """

    __slots__ = (
        "cache",
        "cgroup",
        "pid",
        "preserve_fds",
        "process",
        "sibling",
        "spec",
        "stdio",
        "subgroup",
        "target",
    )

    def __init__(  # noqa: PLR0913 - a value object's fields
        self,
        *,
        pid: int,
        spec: "dict[str, Any]",
        process: "dict[str, Any]",
        cgroup: str,
        stdio: Stdio,
        sibling: bool = False,
        preserve_fds: int = 0,
        cache: str = "",
        target: int = -1,
        subgroup: str = "",
    ) -> None:
        self.subgroup = subgroup
        self.pid = pid
        self.spec = spec
        self.process = process
        self.cgroup = cgroup
        self.stdio = stdio
        self.sibling = sibling
        self.preserve_fds = preserve_fds
        self.cache = cache
        self.target = target


class Spawned:
    """A process on its way.

    Attributes:
        pid: as the host sees it.
        pidfd: descriptor of the process; the receiver's to close.
        sync: descriptor of the socket to it (see boxship.runtime.sync); the receiver's to close.
        warnings: what was asked for and could only be done in part.
    """

    __slots__ = ("pid", "pidfd", "sync", "warnings")

    def __init__(self, pid: int, pidfd: int, sync: int, warnings: tuple[str, ...] = ()) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.sync = sync
        self.warnings = warnings
