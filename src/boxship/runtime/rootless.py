"""What is different when whoever starts a container has no rights over the host.

The kernel lets anybody make a user namespace, and gives the process in it all rights over what
else is new there (user_namespaces(7)). So the container's process does what the parent otherwise
does for it; what no namespace gives, such as limits, is refused. docs/rootless.md tells the user.
"""

import errno
import os
import stat

from boxship.errors import (
    BoxshipError,
    ExhaustedError,
    ForbiddenError,
    InternalError,
    InvalidArgumentError,
    UnsupportedError,
)
from boxship.kernel import KernelError, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.kernel.api import Kernel
    from boxship.runtime.plan import Namespaces

    IdRanges = tuple[tuple[int, int, int], ...]

_CAP_SYS_ADMIN = 21
_WHOLE = ["0", "0", "4294967295"]
# setting: what it says when user namespaces are closed to ordinary users (Debian's and Ubuntu's
# kernels have the first and the last beside the kernel's own).
_SWITCHES = (
    ("kernel/unprivileged_userns_clone", "0", "1"),
    ("user/max_user_namespaces", "0", "15000"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
)


def is_unprivileged(kernel: "Kernel") -> bool:
    """Whether this process may neither mount nor enter namespaces where it is."""
    effective, _, _ = kernel.capget()
    return not effective >> _CAP_SYS_ADMIN & 1


def lacks_groups(kernel: "Kernel") -> bool:
    """Whether control groups may be out of reach: no rights, or rights in a user namespace only."""
    if is_unprivileged(kernel):
        return True
    try:
        with open("/proc/self/uid_map", encoding="utf-8") as file:  # noqa: PTH123 - slow import
            return file.read().split() != _WHOLE
    except FileNotFoundError:
        return False


def check(namespaces: "Namespaces", spec: "dict[str, Any]") -> None:
    """Refuse what only the host's root could do.

    Raises:
        InvalidArgumentError: there is no user namespace.
        UnsupportedError: other namespaces are to be joined, or groups taken that are not mapped.
    """
    if not namespaces.has("user"):
        msg = "without root a container needs a user namespace"
        raise InvalidArgumentError(msg, hint="see boxship-runtime spec --rootless")
    joined = [kind for kind in namespaces.joined if kind != "user"]
    if joined:
        msg = f"joining a {joined[0]} namespace needs root"
        raise UnsupportedError(msg, hint="leave its path out of config.json to get a new one")
    user = (spec.get("process") or {}).get("user") or {}
    mappings = (spec.get("linux") or {}).get("gidMappings") or ()
    extra = set(user.get("additionalGids") or ()) - {user.get("gid") or 0}
    if extra and "user" in namespaces.new and sum(m["size"] for m in mappings) == 1:
        msg = "process.user.additionalGids needs more than one mapped group"
        raise UnsupportedError(msg, hint="map a range of /etc/subgid, or leave the groups out")


def host_id(ranges: "IdRanges", wanted: int) -> int:
    """The host's id of one in a user namespace; -1 when it is not mapped."""
    for inside, outside, count in ranges:
        if inside <= wanted < inside + count:
            return wanted - inside + outside
    return -1


def check_owners(mounts: "list[dict[str, Any]]", uids: "IdRanges", gids: "IdRanges") -> None:
    """Refuse owners of file systems that the user namespace has no ids for.

    The kernel would say no more than EINVAL.

    Raises:
        InvalidArgumentError: a `uid=` or `gid=` is not mapped.
    """
    for mount in mounts:
        for word in mount.get("options") or ():
            key, _, value = word.partition("=")
            ranges = {"uid": uids, "gid": gids}.get(key)
            if ranges is None or not value.isdigit():
                continue
            if not any(first <= int(value) < first + count for first, _, count in ranges):
                msg = f"mount at {mount.get('destination')}: {word} is not mapped"
                raise InvalidArgumentError(msg, hint=f"leave {key}= out, or map it in config.json")


def write_maps(kernel: "Kernel", pid: int, uids: "IdRanges", gids: "IdRanges") -> None:
    """Write the id maps of a new user namespace as an ordinary user.

    The kernel lets a user map nobody but itself, and a group only once setgroups(2) is forbidden.
    For ranges of /etc/subuid and /etc/subgid there are set-user-id programs (newuidmap(1)).

    Raises:
        ForbiddenError: the ids are not this user's to map.
        KernelError: the kernel refuses.
    """
    if _is_own(uids, os.geteuid()):
        kernel.write_uid_map(pid, uids)
    else:
        _map_by_program("newuidmap", "user", pid, uids)
    if _is_own(gids, os.getegid()):
        kernel.deny_setgroups(pid)
        kernel.write_gid_map(pid, gids)
    else:
        _map_by_program("newgidmap", "group", pid, gids)


def _is_own(ranges: "IdRanges", own: int) -> bool:
    return len(ranges) == 1 and ranges[0][1:] == (own, 1)


def _map_by_program(program: str, what: str, pid: int, ranges: "IdRanges") -> None:
    words = [str(number) for line in ranges for number in line]
    try:
        process.run([program, str(pid), *words])
    except InternalError as error:
        shown = ", ".join(f"{outside}+{count}" for _, outside, count in ranges)
        file = "/etc/subuid" if what == "user" else "/etc/subgid"
        raise ForbiddenError(
            f"cannot map {what} ids {shown}: {error.message}",
            hint=f"needs {program} (Debian: package uidmap) and these ids in {file};"
            " or map your own id only, as spec --rootless does",
        ) from error


def explain_clone(error: KernelError, group: str) -> BoxshipError:
    """The error for a clone that an ordinary user is refused.

    Args:
        error: what the kernel said.
        group: control group that the clone should have started in, empty for none.
    """
    what = f"cannot make a user namespace: {error.strerror}"
    if error.errno == errno.EACCES and group:
        return ForbiddenError(
            f"cannot enter control group {group} from the present one: {error.strerror}",
            hint="start from inside the delegated subtree (systemd-run --user --scope)",
        )
    if error.errno == errno.ENOSPC:
        closed = closed_by() or "set user.max_user_namespaces and its like higher with sysctl"
        return ExhaustedError(what, hint=closed)
    if error.errno in (errno.EPERM, errno.EACCES):
        other = "a chroot or the seccomp filter of a container forbids it: run it outside of that"
        return ForbiddenError(what, hint=closed_by() or other)
    return InternalError(what)


def closed_by(directory: str = "/proc/sys") -> str:
    """Which setting of the host closes user namespaces to ordinary users, as a hint; or empty."""
    for name, closed, opened in _SWITCHES:
        try:
            with open(f"{directory}/{name}", encoding="utf-8") as file:  # noqa: PTH123 - as above
                value = file.read().strip()
        except OSError:
            continue
        if value == closed:
            return f"the host forbids it: as root, sysctl -w {name.replace('/', '.')}={opened}"
    return ""


def owns_interpreter(executable: str = "/proc/self/exe") -> bool:
    """Whether the container's root, which is this user, could overwrite the interpreter."""
    return os.stat(executable).st_uid == os.geteuid()  # noqa: PTH116 - pathlib is slow to import


def default_root() -> str:
    """Where an ordinary user's containers are remembered.

    Raises:
        ForbiddenError: somebody else made the directory, or may write to it.
    """
    uid = os.geteuid()
    base = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
    path = f"{base}/boxship-runtime"
    if not os.access(base, os.W_OK | os.X_OK):
        path = f"/tmp/boxship-runtime-{uid}"  # noqa: S108 - checked below
    try:
        os.mkdir(path, 0o700)  # noqa: PTH102 - pathlib is slow to import
    except FileExistsError:
        pass
    except OSError as error:
        hint = "give a directory of yours with --root"
        raise ForbiddenError(f"cannot make {path}: {error.strerror}", hint=hint) from error
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o022:
        msg = f"{path} is not a directory that only user {uid} can write to"
        raise ForbiddenError(msg, hint="remove it, or give another directory with --root")
    return path
