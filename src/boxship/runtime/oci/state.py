"""What `boxship-runtime` remembers of a container between two commands: one directory each.

ROOT/ID/state.json    the record below
ROOT/ID/start.sock    there from create to start; the container's process listens on it
"""

import errno
import os

from boxship.errors import ConflictError, InternalError, InvalidArgumentError, NotFoundError
from boxship.kernel import KernelError
from boxship.runtime.cgroups import detect, open_cgroup
from boxship.runtime.spec import document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.kernel.api import Kernel
    from boxship.runtime.cgroups.api import Cgroup

OCI_VERSION = "1.2.0"
OCI_NEWEST = "1.3.0"
"""Of 1.3 all but intelRdt is honoured, and that is refused by name."""
_NAME_MARKS = "_+-."
_MAX_ID = 1024
_DAMAGED = "end its processes, then delete it by force"
_KINDS: "tuple[tuple[str, type | tuple[type, ...]], ...]" = (
    ("id", str),
    ("bundle", str),
    ("spec", dict),
    ("cgroup", str),
    ("created", (int, float)),
    ("pid", int),
    ("start_time", int),
)


class DamagedError(InternalError):
    """What is remembered of a container is not what was written."""


class Record:
    """A container as its creator left it.

    Attributes:
        id: container id.
        bundle: absolute path of the bundle.
        pid: its first process.
        start_time: of that process, so that a re-used pid is not taken for it; 0 before it exists.
        cgroup: path of its control group; empty when its user may not make one.
        created: seconds since the epoch.
        spec: the document it was created from.
    """

    __slots__ = ("bundle", "cgroup", "created", "id", "pid", "spec", "start_time")

    def __init__(  # noqa: PLR0913 - a value object's fields
        self,
        *,
        id: str,  # noqa: A002
        bundle: str,
        spec: "dict[str, Any]",
        cgroup: str,
        created: float = 0.0,
        pid: int = 0,
        start_time: int = 0,
    ) -> None:
        self.id = id
        self.bundle = bundle
        self.spec = spec
        self.cgroup = cgroup
        self.created = created
        self.pid = pid
        self.start_time = start_time


class Store:
    """The records below one root directory."""

    def __init__(self, root: str, kernel: "Kernel") -> None:
        self.root = root
        self._kernel = kernel

    @property
    def cache(self) -> str:
        """Directory for compiled seccomp programs; its name is no container's."""
        return f"{self.root}/.seccomp"

    def directory(self, container_id: str) -> str:
        """Where a container's files are.

        Raises:
            InvalidArgumentError: the id is no id.
        """
        check_id(container_id)
        return f"{self.root}/{container_id}"

    def reserve(self, container_id: str) -> str:
        """Make a new container's directory.

        Raises:
            ConflictError: the id is in use.
        """
        directory = self.directory(container_id)
        os.makedirs(self.root, 0o700, exist_ok=True)  # noqa: PTH103 - pathlib is slow to import
        try:
            os.mkdir(directory, 0o700)  # noqa: PTH102 - as above
        except FileExistsError as error:
            raise ConflictError(f"container with id exists: {container_id}") from error
        return directory

    def save(self, record: Record) -> None:
        """Write a record."""
        fields = {name: getattr(record, name) for name in Record.__slots__}
        document.write(f"{self.directory(record.id)}/state.json", fields)

    def load(self, container_id: str) -> Record:
        """Read a record.

        Raises:
            NotFoundError: there is no such container.
            DamagedError: somebody else wrote to its record.
            InternalError: its record cannot be read now.
        """
        try:
            fields = document.read(f"{self.directory(container_id)}/state.json")
        except NotFoundError as error:
            raise NotFoundError(f'container "{container_id}" does not exist') from error
        except InvalidArgumentError as error:
            if isinstance(error.__cause__, OSError):
                raise InternalError(str(error)) from error
            raise DamagedError(str(error), hint=_DAMAGED) from error
        if (
            fields.__class__ is not dict
            or any(not isinstance(fields.get(name), kind) for name, kind in _KINDS)
            or not isinstance(fields["spec"].get("process"), dict)
        ):
            msg = f"the record of container {container_id} is damaged"
            raise DamagedError(msg, hint=_DAMAGED)
        return Record(**{name: fields[name] for name in Record.__slots__})

    def forget(self, container_id: str) -> None:
        """Remove a container's directory; no error when it is gone."""
        directory = self.directory(container_id)
        try:
            for name in os.listdir(directory):  # noqa: PTH208 - pathlib is slow to import
                os.unlink(f"{directory}/{name}")  # noqa: PTH108 - as above
            os.rmdir(directory)  # noqa: PTH106 - as above
        except FileNotFoundError:
            return

    def ids(self) -> "list[str]":
        """All containers, in order."""
        try:
            names = os.listdir(self.root)  # noqa: PTH208 - pathlib is slow to import
            return sorted(name for name in names if not name.startswith("."))
        except FileNotFoundError:
            return []

    def status(self, record: Record) -> str:
        """OCI status: creating, created, running, stopped; or paused."""
        if not record.pid:
            return "creating"
        if not is_alive(self._kernel, record.pid, record.start_time):
            return "stopped"
        if os.access(f"{self.directory(record.id)}/start.sock", os.F_OK):
            return "created"
        return "paused" if group(record).frozen() else "running"


def check_id(container_id: str) -> None:
    """Refuse what could not be a directory's name.

    Raises:
        InvalidArgumentError: other characters than letters, digits and `_+-.`, or too long.
    """
    for character in container_id:
        if not (character.isascii() and (character.isalnum() or character in _NAME_MARKS)):
            # Clients of other runtimes look for these words.
            msg = f"invalid character {character!r} in container ID {container_id!r}"
            raise InvalidArgumentError(msg, hint="use letters, digits, _, +, - and .")
    if not container_id or container_id[0] == "." or len(container_id) > _MAX_ID:
        msg = f"invalid container ID {container_id!r}"
        raise InvalidArgumentError(msg, hint=f"1 to {_MAX_ID} characters, . not first")


def is_alive(kernel: "Kernel", pid: int, start_time: int) -> bool:
    """Whether a process still runs and is the one that started then.

    Raises:
        KernelError: it cannot be told; taken for dead it would be deleted while it runs.
    """
    try:
        same = kernel.start_time(pid) == start_time
        descriptor = kernel.open_file(f"/proc/{pid}/stat", os.O_RDONLY)
    except KernelError as error:
        if error.errno not in (errno.ENOENT, errno.ESRCH):
            raise
        return False
    try:
        text = os.read(descriptor, 4096)
    except ProcessLookupError:
        return False
    finally:
        kernel.close(descriptor)
    return same and text.rpartition(b")")[2].split()[0] not in (b"Z", b"X")


def group(record: Record) -> "Cgroup":
    """The container's control group."""
    if not record.cgroup:
        from boxship.runtime.cgroups.absent import AbsentCgroup  # noqa: PLC0415 - rootless only

        return AbsentCgroup(detect(), record.pid, record.start_time)
    return open_cgroup(detect(), record.cgroup)


def oci_state(record: Record, status: str) -> "dict[str, Any]":
    """The state document of the OCI runtime spec."""
    state: dict[str, Any] = {
        "ociVersion": record.spec.get("ociVersion") or OCI_VERSION,
        "id": record.id,
        "status": status,
        "pid": 0 if status == "stopped" else record.pid,
        "bundle": record.bundle,
        "rootfs": os.path.join(record.bundle, (record.spec.get("root") or {}).get("path") or ""),  # noqa: PTH118 - pathlib is slow to import
        "annotations": record.spec.get("annotations") or {},
    }
    return state
