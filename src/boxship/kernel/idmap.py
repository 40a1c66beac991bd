"""Write the user and group id maps of a user namespace (user_namespaces(7))."""

import os

from boxship.kernel._libc import KernelError

TYPE_CHECKING = False  # the typing module takes longer to import than all of this package
if TYPE_CHECKING:
    from collections.abc import Iterable

    IdRange = tuple[int, int, int]


def write_uid_map(pid: int, ranges: "Iterable[IdRange]") -> None:
    """Set which host users a namespace's users are; once, from outside.

    Args:
        pid: a process in the namespace.
        ranges: triples of first id inside, first id outside, count.
    """
    _write(f"/proc/{pid}/uid_map", _lines(ranges))


def write_gid_map(pid: int, ranges: "Iterable[IdRange]") -> None:
    """As write_uid_map, for groups."""
    _write(f"/proc/{pid}/gid_map", _lines(ranges))


def deny_setgroups(pid: int) -> None:
    """Forbid setgroups(2) in the namespace; needed before an unprivileged gid map."""
    _write(f"/proc/{pid}/setgroups", "deny")


def _lines(ranges: "Iterable[IdRange]") -> str:
    # The kernel takes the map in one write only.
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in ranges)


def _write(path: str, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise KernelError(error.errno or 0, "write", path) from error
