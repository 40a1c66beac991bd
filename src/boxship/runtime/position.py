"""Stand somewhere else for the length of a clone: in namespaces that the child inherits."""

import os

from boxship.errors import InvalidArgumentError
from boxship.kernel import abi, namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.kernel.api import Kernel

_FILES = {namespaces.KINDS[kind]: file for kind, file in namespaces.FILES.items()}


class Position:
    """A context manager that enters a directory and namespaces, and comes back.

    The parent enters network, IPC, UTS, time and pid namespaces itself, because it is allowed to
    whichever user namespace owns them; the child may not be, once it is in its own. (Entering a pid
    or time namespace only concerns children.) A process that cannot come back must not go on: the
    error is fatal.
    """

    def __init__(
        self,
        kernel: "Kernel",
        directory: str,
        joined: "list[tuple[int, int]]",
        clocks: str = "",
    ) -> None:
        """Go nowhere yet.

        Args:
            kernel: the door to the kernel.
            directory: to change to; empty to stay.
            joined: descriptor and clone flag of each namespace to enter.
            clocks: offsets of a time namespace to make for children (boxship.runtime.clocks).
        """
        self._kernel = kernel
        self._directory = directory
        self._joined = joined
        self._clocks = clocks
        self._home = -1
        self._own: list[tuple[int, int]] = []

    def __enter__(self) -> None:
        try:
            self._go()
        except BaseException:
            self._return()
            raise

    def __exit__(self, *_: object) -> None:
        self._return()

    def _go(self) -> None:
        kernel = self._kernel
        if self._directory:
            self._home = kernel.open_file(".", os.O_PATH | os.O_DIRECTORY)
            kernel.change_directory(self._directory)
        if self._clocks:
            from boxship.runtime.clocks import make_clocks  # noqa: PLC0415 - rare

            self._remember(abi.CLONE_NEWTIME)
            make_clocks(kernel, self._clocks)
        for descriptor, flag in self._joined:
            self._remember(flag)
            kernel.setns(descriptor, flag)

    def _remember(self, flag: int) -> None:
        own = self._kernel.open_file(f"/proc/self/ns/{_FILES[flag]}", os.O_RDONLY)
        self._own.append((own, flag))

    def _return(self) -> None:
        kernel = self._kernel
        for descriptor, flag in reversed(self._own):
            kernel.setns(descriptor, flag)
            kernel.close(descriptor)
        if self._home >= 0:
            kernel.enter_directory(self._home)
            kernel.close(self._home)


def open_namespace(kernel: "Kernel", kind: str, path: str) -> int:
    """A descriptor of a namespace given by OCI name and path.

    Raises:
        InvalidArgumentError: there is something else at the path.
    """
    descriptor = kernel.open_file(path, os.O_RDONLY | os.O_NONBLOCK)
    if kernel.namespace_kind(descriptor) != namespaces.KINDS[kind]:
        kernel.close(descriptor)
        raise InvalidArgumentError(f"linux.namespaces: {path} is not a {kind} namespace")
    return descriptor


def open_namespaces(kernel: "Kernel", joined: "list[tuple[str, str]]") -> "list[tuple[int, int]]":
    """Descriptors and clone flags of namespaces given by OCI name and path."""
    opened: list[tuple[int, int]] = []
    try:
        for kind, path in joined:
            opened.append((open_namespace(kernel, kind, path), namespaces.KINDS[kind]))
    except BaseException:
        close_all(kernel, opened)
        raise
    return opened


def close_all(kernel: "Kernel", opened: "list[tuple[int, int]]") -> None:
    """Close what `open_namespaces` opened."""
    for descriptor, _ in opened:
        kernel.close(descriptor)


def other_namespaces(pid: int) -> int:
    """Clone flags of the namespaces in which a process is not with the caller."""
    flags = 0
    for flag, file in _FILES.items():
        try:
            # Entering the user namespace one is in already is an error (setns(2), EINVAL).
            there = os.stat(f"/proc/{pid}/ns/{file}")  # noqa: PTH116 - pathlib is slow to import
            here = os.stat(f"/proc/self/ns/{file}")  # noqa: PTH116 - as above
        except FileNotFoundError:
            continue
        if there.st_ino != here.st_ino:
            flags |= flag
    return flags
