"""Steps that build a container's mount tree, by descriptors from the root's on.

All of it happens before the root is entered, while the host's mounts can still be seen: /proc and
/sys may only be mounted in a user namespace where a complete one is visible.
"""

import errno
import os
import stat

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.kernel import KernelError, abi
from boxship.runtime.steps import Context, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.kernel.api import Kernel
    from boxship.runtime.filesystem.options import MountOptions

Parameters = list[tuple[str, str | None]]

# What a namespace that another user namespace owns cannot mount afresh is taken from the host.
_HOST_COPIES = {"proc": "/proc", "sysfs": "/sys", "mqueue": "/dev/mqueue"}
# mount_too_revealing() of the kernel's fs/namespace.c.
_PROC_COVERED = "cannot mount /proc: parts of this host's own /proc are covered"
_PROC_HINT = (
    "in a user namespace the kernel shows no more of it than the host has: run this where /proc is"
    " whole, or in a container without masked paths"
)
_MAX_FSCONFIG = 255
# Flags of a file system that fsconfig(2) has words for.
_FLAG_WORDS = (
    (abi.MS_SYNCHRONOUS, "sync"),
    (abi.MS_DIRSYNC, "dirsync"),
    (abi.MS_LAZYTIME, "lazytime"),
    (abi.MS_MANDLOCK, "mand"),
)
_WORDLESS_FLAGS = abi.MS_I_VERSION | abi.MS_SILENT
# What others let be covered of /proc (LXCFS shows a container's own limits there).
_COVERABLE = frozenset(
    f"/proc/{name}"
    for name in (
        *("cpuinfo", "diskstats", "loadavg", "meminfo", "slabinfo", "stat", "swaps", "uptime"),
        *("net/dev", "sys/kernel/ns_last_pid", "sys/crypto/fips_enabled"),
    )
)
_LOCKED_DOWN = abi.MOUNT_ATTR_NOSUID | abi.MOUNT_ATTR_NODEV | abi.MOUNT_ATTR_NOEXEC


def make_filesystem(
    kernel: "Kernel", kind: str, source: str, data: Parameters, attributes: int
) -> int:
    """A descriptor of a new, detached mount of a file system."""
    context = kernel.fsopen(kind)
    try:
        if source:
            kernel.fsconfig(context, "source", source)
        for key, value in data:
            kernel.fsconfig(context, key, value)
        kernel.fscreate(context, kind)
        return kernel.fsmount(context, attributes)
    finally:
        kernel.close(context)


class IsolateMounts(Step):
    """Keep what follows from spreading to the host."""

    __slots__ = ("flags",)

    def __init__(self, flags: int) -> None:
        self.flags = flags

    def describe(self) -> str:
        return f"set propagation of / to {self.flags:#x}"

    def execute(self, context: Context) -> None:
        context.kernel.mount("", "/", "", self.flags)


class MakeStage(Step):
    """Cover the working directory, which the parent chose, with a tmpfs to build the root in.

    Done by empty path: a mapped root may not be allowed to search that directory.
    """

    __slots__ = ()

    def describe(self) -> str:
        return "mount a tmpfs as stage"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        stage = make_filesystem(kernel, "tmpfs", "tmpfs", [("mode", "0700")], _LOCKED_DOWN)
        # Before it is seen by others: who fails in a joined namespace takes it away again.
        context.stage = stage
        kernel.move_mount(stage, abi.AT_FDCWD)
        kernel.enter_directory(stage)
        kernel.make_subdirectory(stage, "root", 0o755)
        kernel.make_subdirectory(stage, "empty", 0o755)


class AttachRoot(Step):
    """Take a directory that the parent cloned as the root."""

    __slots__ = ("tree",)

    def __init__(self, tree: int) -> None:
        self.tree = tree

    def describe(self) -> str:
        return f"attach tree {self.tree} as root"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        context.root = context.trees[self.tree]
        if not stat.S_ISDIR(kernel.file_mode(context.root)):
            raise InvalidArgumentError("root.path is not a directory")
        kernel.move_mount(context.root, context.stage, "root")


class MountOverlay(Step):
    """Mount an overlay as the root, from inside the user namespace that is to write to it.

    Attributes:
        trees: names below the stage to attach prepared trees at, by index.
        data: mount options with relative paths, which keep a stack of 127 layers within the page
            that the kernel allows.
        read_only: there is no upper directory.
    """

    __slots__ = ("data", "read_only", "trees")

    def __init__(self, data: str, trees: "tuple[str, ...]", *, read_only: bool) -> None:
        self.data = data
        self.trees = trees
        self.read_only = read_only

    def describe(self) -> str:
        return f"mount overlay of trees {' '.join(self.trees)} as root: {self.data}"

    def execute(self, context: Context) -> None:
        kernel, stage = context.kernel, context.stage
        for index, name in enumerate(self.trees):
            kernel.make_subdirectory(stage, name, 0o700)
            kernel.move_mount(context.trees[index], stage, name)
        flags = abi.MS_RDONLY if self.read_only else 0
        kernel.mount("overlay", "root", "overlay", flags, self.data)
        context.root = kernel.open_file("root", os.O_PATH | os.O_DIRECTORY)


class MountFilesystem(Step):
    """Mount a file system of its own at a place in the root.

    Attributes:
        copyable: the host's may be shown where a fresh one is refused: nothing of it is separate.
    """

    __slots__ = ("copyable", "kind", "options", "source", "target")

    def __init__(
        self,
        kind: str,
        source: str,
        target: str,
        options: "MountOptions",
        *,
        copyable: bool = True,
    ) -> None:
        self.kind = kind
        self.source = source
        self.target = target
        self.options = options
        self.copyable = copyable
        # Both are rare, but nothing can be imported any more when they are needed: the child may
        # not be allowed to read this package.
        if options.copy_up:
            import boxship.runtime.filesystem.copyup  # noqa: F401, PLC0415 - as above
        self._prepare()

    def _prepare(self) -> None:
        if self._is_wordless(self.options.data):
            import boxship.runtime.filesystem.classic  # noqa: F401, PLC0415 - as above

    def add_parameter(self, key: str, value: str) -> None:
        """Ask the file system for one thing more, while the mount is being planned."""
        self.options.data.append((key, value))
        self._prepare()

    def describe(self) -> str:
        words = [word for flag, word in _FLAG_WORDS if self.options.flags & flag]
        words += [key if value is None else f"{key}={value}" for key, value in self.options.data]
        return f"mount {self.kind} at {self.target} ({self._attributes:#x} {','.join(words)})"

    def _is_wordless(self, data: Parameters) -> bool:
        """It needs what only mount(2) can say."""
        long = any(value and len(value) > _MAX_FSCONFIG for _, value in data)
        return long or bool(self.options.flags & _WORDLESS_FLAGS)

    @property
    def _attributes(self) -> int:
        # There is nothing below yet that `rro` and its like could go for but the mount itself.
        return self.options.set | self.options.set_below

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        data, target = self._place(context)
        try:
            check_place(context, target, self.target)
            tree = self._make(context, data)
            if self.kind == "proc":
                context.procs.add(kernel.file_identity(tree)[0])
            try:
                self._attach(context, tree, target)
            finally:
                kernel.close(tree)
        finally:
            kernel.close(target)

    def _attach(self, context: Context, tree: int, target: int) -> None:
        kernel, options = context.kernel, self.options
        if options.copy_up:
            from boxship.runtime.filesystem.copyup import copy_up  # noqa: PLC0415 - rare

            copy_up(target, tree, dict(options.data))
            if self._attributes & abi.MOUNT_ATTR_RDONLY:
                kernel.mount_setattr(tree, set_=abi.MOUNT_ATTR_RDONLY)
        attach(context, tree, target, self.target)
        if options.propagation:
            kernel.mount_setattr(tree, propagation=options.propagation)

    def _place(self, context: Context) -> "tuple[Parameters, int]":
        kernel, data = context.kernel, self.options.data
        if self.kind in ("proc", "sysfs"):
            self._check_ordinary(context)
        try:
            target = kernel.open_in_root(context.root, self.target, os.O_PATH | os.O_DIRECTORY)
        except KernelError as error:
            if error.errno != errno.ENOENT:
                raise
            return data, kernel.make_directory(context.root, self.target)
        if self.kind == "tmpfs" and not any(key == "mode" for key, _ in data):
            # A tmpfs over a directory of the image looks like it; tmpfs alone would be 1777.
            data = [*data, ("mode", f"{stat.S_IMODE(kernel.file_mode(target)):o}")]
        return data, target

    def _check_ordinary(self, context: Context) -> None:
        """Refuse a link: what is masked is looked up by the name that the link hides."""
        found = open_existing(context, self.target, os.O_NOFOLLOW)
        if found < 0:
            return
        mode = context.kernel.file_mode(found)
        context.kernel.close(found)
        if not stat.S_ISDIR(mode):
            raise InvalidArgumentError(
                f"{self.kind} must be mounted on an ordinary directory, and {self.target} is none",
                hint="the image was made to do harm, or is damaged",
            )

    def _make(self, context: Context, data: Parameters) -> int:
        try:
            return self._tree(context, data)
        except KernelError as error:
            hint = "see /proc/filesystems and modprobe(8)" if error.errno == errno.ENODEV else ""
            msg = f"cannot mount {self.kind} at {self.target}: {error}"
            raise InvalidArgumentError(msg, hint=hint) from error

    def _tree(self, context: Context, data: Parameters) -> int:
        kernel, options, attributes = context.kernel, self.options, self._attributes
        if options.copy_up:
            attributes &= ~abi.MOUNT_ATTR_RDONLY
        if self._is_wordless(data):
            from boxship.runtime.filesystem.classic import mount_aside  # noqa: PLC0415 - rare

            return mount_aside(context, self.kind, self.source, data, attributes, options.flags)
        words = [word for flag, word in _FLAG_WORDS if options.flags & flag]
        if attributes & abi.MOUNT_ATTR_RDONLY and self.source.startswith("/"):
            # A disk that cannot be written to has to be told, not just the mount.
            words.append("ro")
        parameters = [*((word, None) for word in words), *data] if words else data
        try:
            return make_filesystem(kernel, self.kind, self.source, parameters, attributes)
        except KernelError as error:
            host = _HOST_COPIES.get(self.kind)
            refused = error.errno in (errno.EPERM, errno.EBUSY)
            if host is None or not refused or not self.copyable:
                if self.kind == "proc" and error.errno == errno.EPERM:
                    raise UnsupportedError(_PROC_COVERED, hint=_PROC_HINT) from error
                raise
        tree = kernel.open_tree(abi.AT_FDCWD, host, abi.OPEN_TREE_CLONE | abi.AT_RECURSIVE)
        kernel.mount_setattr(tree, set_=attributes, propagation=abi.MS_SLAVE, recursive=True)
        return tree


class AttachTree(Step):
    """Attach a directory or file that the parent cloned.

    Attributes:
        proc: it is the host's /proc, in which nothing may be covered either.
    """

    __slots__ = ("proc", "source", "target", "tree")

    def __init__(self, tree: int, source: str, target: str, *, proc: bool = False) -> None:
        self.tree = tree
        self.source = source
        self.target = target
        self.proc = proc

    def describe(self) -> str:
        return f"attach tree {self.tree} ({self.source}) at {self.target}"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        tree = context.trees[self.tree]
        directory = stat.S_ISDIR(kernel.file_mode(tree))
        target = self._place(context, directory=directory)
        try:
            check_place(context, target, self.target)
            attach(context, tree, target, self.target)
        except KernelError as error:
            if directory or error.errno not in (errno.EINVAL, errno.ENOTDIR):
                raise
            raise self._mismatch(directory=False) from error
        finally:
            kernel.close(target)
        if self.proc:
            context.procs.add(kernel.file_identity(tree)[0])

    def _place(self, context: Context, *, directory: bool) -> int:
        kernel = context.kernel
        if not directory:
            return kernel.make_file(context.root, self.target)
        try:
            return kernel.make_directory(context.root, self.target)
        except KernelError as error:
            if error.errno != errno.ENOTDIR:
                raise
            raise self._mismatch(directory=True) from error

    def _mismatch(self, *, directory: bool) -> InvalidArgumentError:
        one, other = ("directory", "file") if directory else ("file", "directory")
        return InvalidArgumentError(
            f"cannot mount {self.source} at {self.target}: it is a {one}, and there is a {other}",
            hint="mount a directory on a directory and a file on a file",
        )


class Mask(Step):
    """Hide a file or directory; it need not exist."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return f"mask {self.path}"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        target = open_existing(context, self.path)
        if target < 0:
            return
        if stat.S_ISDIR(kernel.file_mode(target)):
            tree = kernel.open_tree(context.stage, "empty", abi.OPEN_TREE_CLONE)
        else:
            # The host's: one inside the container might be something else (CVE-2025-31133).
            tree = kernel.open_tree(abi.AT_FDCWD, "/dev/null", abi.OPEN_TREE_CLONE)
        # A device can be written to all the same, but nobody can change the host's node.
        kernel.mount_setattr(tree, set_=abi.MOUNT_ATTR_RDONLY)
        kernel.move_mount(tree, target)
        kernel.close(tree)
        kernel.close(target)


class MakeReadOnly(Step):
    """Make what is at a path read-only, mounts below it as they are; it need not exist."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return f"make {self.path} read-only"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        target = open_existing(context, self.path)
        if target < 0:
            return
        if kernel.file_identity(target) == kernel.file_identity(context.root):
            # A copy over the root would be out of sight.
            kernel.mount_setattr(context.root, set_=abi.MOUNT_ATTR_RDONLY)
            kernel.close(target)
            return
        tree = kernel.open_tree(target, "", abi.OPEN_TREE_CLONE | abi.AT_RECURSIVE)
        kernel.mount_setattr(tree, set_=abi.MOUNT_ATTR_RDONLY)
        kernel.move_mount(tree, target)
        kernel.close(tree)
        kernel.close(target)


class MakeRootReadOnly(Step):
    """Forbid writes to the root file system itself."""

    __slots__ = ()

    def describe(self) -> str:
        return "make the root read-only"

    def execute(self, context: Context) -> None:
        context.kernel.mount_setattr(context.root, set_=abi.MOUNT_ATTR_RDONLY)


class EnterRoot(Step):
    """Make the built tree this mount namespace's root and let go of the host's."""

    __slots__ = ()

    def describe(self) -> str:
        return "pivot into the root"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        kernel.enter_directory(context.root)
        kernel.pivot_root(".", ".")
        # The old root lies on top now.
        kernel.umount(".", abi.MNT_DETACH)
        kernel.change_directory("/")


def attach(context: Context, tree: int, target: int, path: str) -> None:
    """Attach a detached mount; one at `/` becomes the container's root.

    Args:
        context: of the process.
        tree: descriptor of the mount.
        target: descriptor of the place.
        path: what the document calls the place.
    """
    kernel = context.kernel
    kernel.move_mount(tree, target)
    if _names_root(path):
        context.root = kernel.open_tree(tree, "", 0)


def _names_root(path: str) -> bool:
    return all(name in ("", ".") for name in path.split("/"))


def check_place(context: Context, target: int, path: str) -> None:
    """Refuse to mount where a link of the image led to and nothing may be mounted.

    Over the root itself a mount is out of sight but for `/..`, and what is masked or read-only by
    its name is not there: it has to be asked for as `/`. Over a file of /proc it would deceive
    whoever trusts it (CVE-2019-16884).

    Raises:
        InvalidArgumentError: the place is the root by another name, or in /proc.
    """
    kernel = context.kernel
    found = kernel.file_identity(target)
    if found == kernel.file_identity(context.root) and not _names_root(path):
        raise InvalidArgumentError(f"cannot mount at {path}: it is the container's root")
    if found[0] in context.procs and path not in _COVERABLE:
        raise InvalidArgumentError(f"cannot mount at {path}: it is inside /proc")


def open_existing(context: Context, path: str, flags: int = 0) -> int:
    """An O_PATH descriptor of something in the root, -1 when it is not there."""
    try:
        return context.kernel.open_in_root(context.root, path, os.O_PATH | flags)
    except KernelError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            return -1
        raise
