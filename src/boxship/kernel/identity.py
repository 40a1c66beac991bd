"""Who a process is: ids, session, limits, priority."""

import os
import resource

from boxship.kernel._libc import KernelError

TYPE_CHECKING = False  # the typing module takes longer to import than all of this package
if TYPE_CHECKING:
    from collections.abc import Sequence


def set_user(uid: int) -> None:
    """Become a user: real, effective and saved id (setresuid(2))."""
    try:
        os.setresuid(uid, uid, uid)
    except OSError as error:
        raise KernelError(error.errno or 0, "setresuid", str(uid)) from error


def set_group(gid: int) -> None:
    """Become a group: real, effective and saved id (setresgid(2))."""
    try:
        os.setresgid(gid, gid, gid)
    except OSError as error:
        raise KernelError(error.errno or 0, "setresgid", str(gid)) from error


def set_groups(groups: "Sequence[int]") -> None:
    """Replace the supplementary groups (setgroups(2))."""
    try:
        os.setgroups(list(groups))
    except OSError as error:
        raise KernelError(error.errno or 0, "setgroups", str(list(groups))) from error


def set_umask(mask: int) -> None:
    os.umask(mask)


def new_session() -> None:
    """Lead a new session (setsid(2)); no error for a process that leads one already."""
    if os.getsid(0) != os.getpid():
        os.setsid()


def limits(kind: str) -> tuple[int, int]:
    """Soft and hard limit of this process; -1 is none.

    Args:
        kind: name as in getrlimit(2), `RLIMIT_NOFILE`.
    """
    return resource.getrlimit(_limit(kind))


def set_limits(pid: int, kind: str, soft: int, hard: int) -> None:
    """Set both limits of a resource (prlimit(2)).

    Args:
        pid: process, 0 for this one.
        kind: name as in getrlimit(2), `RLIMIT_NOFILE`.
        soft: new soft limit; -1 is none.
        hard: new hard limit; -1 is none.
    """
    try:
        resource.prlimit(pid, _limit(kind), (soft, hard))
    except (OSError, ValueError) as error:
        number = error.errno or 0 if isinstance(error, OSError) else 22
        raise KernelError(number, "prlimit", f"{kind}={soft}:{hard}") from error


def _limit(kind: str) -> int:
    number = getattr(resource, kind, None)
    if not kind.startswith("RLIMIT_") or not isinstance(number, int):
        raise KernelError(22, "prlimit", kind)
    return number
