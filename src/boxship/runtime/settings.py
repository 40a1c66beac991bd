"""Steps that set what a container's namespaces hold: names, loopback, kernel parameters."""

import errno
import os

from boxship.errors import InvalidArgumentError
from boxship.kernel import KernelError
from boxship.runtime.steps import Context, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.runtime.plan import Namespaces

# sysctl of the IPC namespace (ipc_namespaces(7)); mqueue's too.
_IPC = frozenset(
    (
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    )
)
_NOT_MADE = (errno.ENOTDIR, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ELOOP)


class LoopbackUp(Step):
    """Set the loopback interface of a new network namespace up."""

    __slots__ = ()

    def describe(self) -> str:
        return "set lo up"

    def execute(self, context: Context) -> None:
        context.kernel.set_interface_up("lo")


class SetHostname(Step):
    """Set the host name of the UTS namespace."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def describe(self) -> str:
        return f"set hostname {self.name}"

    def execute(self, context: Context) -> None:
        context.kernel.sethostname(self.name)


class SetDomainname(Step):
    """Set the NIS domain name of the UTS namespace."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def describe(self) -> str:
        return f"set domainname {self.name}"

    def execute(self, context: Context) -> None:
        context.kernel.setdomainname(self.name)


class SetSysctl(Step):
    """Set a kernel parameter of one of the container's namespaces.

    Through the host's /proc, which is trusted and still visible: the kernel goes by the writer's
    namespaces, not by the mount's.
    """

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = value

    def describe(self) -> str:
        return f"set sysctl {self.name}={self.value}"

    def execute(self, context: Context) -> None:
        path = self.name if "/" in self.name else self.name.replace(".", "/")
        context.kernel.write_text(f"/proc/sys/{path}", self.value)


class MakeDirectory(Step):
    """Make a directory of the root that the program starts in, as Docker does."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return f"make directory {self.path}"

    def execute(self, context: Context) -> None:
        try:
            os.close(context.kernel.make_directory(context.root, self.path))
        except KernelError as error:
            # Changing to it gives the error that users know.
            if error.errno not in _NOT_MADE:
                raise


def plan_sysctls(values: "dict[str, str]", namespaces: "Namespaces") -> "list[Step]":
    """Steps for `linux.sysctl`.

    Raises:
        InvalidArgumentError: a parameter is the host's, or of a namespace shared with it.
    """
    for name in values:
        if name.replace("/", ".") == "kernel.hostname":
            # The specification has a field for it, which would be overwritten.
            msg = 'sysctl "kernel.hostname" is not allowed: it contradicts hostname'
            raise InvalidArgumentError(msg, hint="set hostname in config.json")
        owner = _owner(name.replace("/", "."))
        if owner is None or not namespaces.has(owner):
            msg = f'sysctl "{name}" is not in a separate kernel namespace'
            raise InvalidArgumentError(msg)
    return [SetSysctl(name, value) for name, value in values.items()]


def _owner(name: str) -> str | None:
    if ".." in name:
        return None
    if name.startswith("net."):
        return "network"
    if name in _IPC or name.startswith("fs.mqueue."):
        return "ipc"
    return "uts" if name in ("kernel.hostname", "kernel.domainname") else None
