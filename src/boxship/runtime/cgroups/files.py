"""Read and write the small files of a cgroup directory, and say what failed in words."""
# The launcher imports this, and pathlib costs more than a container's groups.
# ruff: noqa: PTH106, PTH119

import errno
import os
import time

from boxship.errors import (
    BoxshipError,
    ConflictError,
    InternalError,
    InvalidArgumentError,
    UnsupportedError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CHUNK = 65536
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Gone, not for this user, or not for a threaded group (cgroup.procs, "Threads" of cgroup-v2.rst).
_ABSENT = (errno.ENOENT, errno.ENODEV, errno.ENOTDIR, errno.EACCES, errno.EOPNOTSUPP)
_IN_USE = (errno.EBUSY, errno.ENOTEMPTY)
_REFUSED = (errno.EINVAL, errno.ERANGE, errno.ENODEV, errno.ENXIO)


def read(directory: str | int, name: str) -> str:
    """The whole content of a control file, stripped; the directory by path or descriptor.

    Raises:
        OSError: it cannot be read.
    """
    around = directory if isinstance(directory, int) else None
    path = name if around is not None else f"{directory}/{name}"
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=around)
    try:
        content = chunk = os.read(descriptor, _CHUNK)
        while len(chunk) == _CHUNK:
            chunk = os.read(descriptor, _CHUNK)
            content += chunk
    except OSError as failure:
        raise OSError(failure.errno, failure.strerror, path) from failure
    finally:
        os.close(descriptor)
    return content.decode("ascii", "replace").strip()


def read_or(directory: str, name: str, default: str) -> str:
    """The content of a control file, or the default where it cannot be read."""
    try:
        return read(directory, name)
    except OSError:
        return default


def read_present(directory: str | int, name: str) -> str:
    """The content of a control file, empty where it is not there.

    Raises:
        OSError: it cannot be told (no descriptor or memory left), which says nothing of the group.
    """
    try:
        return read(directory, name)
    except OSError as failure:
        if failure.errno not in _ABSENT:
            raise
        return ""


def write(directory: str, name: str, value: str) -> None:
    """Write one value in one call, as the kernel requires.

    Raises:
        OSError: it cannot be opened or the kernel refuses the value.
    """
    path = f"{directory}/{name}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    except OSError as failure:
        raise OSError(failure.errno, failure.strerror, path) from failure
    finally:
        os.close(descriptor)


def write_all(directory: str, name: str, values: list[str]) -> None:
    """Write several values to one file, a call each.

    Raises:
        OSError: it cannot be opened or the kernel refuses a value.
    """
    path = f"{directory}/{name}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for value in values:
            os.write(descriptor, value.encode())
    except OSError as failure:
        raise OSError(failure.errno, failure.strerror, path) from failure
    finally:
        os.close(descriptor)


def flat_keyed(text: str) -> dict[str, int]:
    """Decode lines of `key value` (memory.stat, cpu.stat, memory.events); others are skipped."""
    table: dict[str, int] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if value.lstrip("-").isdigit():
            table[key] = int(value)
    return table


def whole(text: str) -> int:
    """A number, or 0 for `max`, an empty file and what is not one."""
    return int(text) if text.isdigit() else 0


def amount(value: int) -> str:
    """A limit as control files have it: OCI writes -1 for none; 0 is a limit."""
    return "max" if value < 0 else str(value)


def rdma_line(device: str, limits: "Mapping[str, int]") -> str:
    """A line of `rdma.max`; what is not named keeps its limit.

    Raises:
        InvalidArgumentError: nothing is limited.
    """
    names = (("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object"))
    given = [f"{key}={limits[name]}" for name, key in names if limits.get(name) is not None]
    if not given:
        msg = f"linux.resources.rdma[{device!r}] needs hcaHandles or hcaObjects"
        raise InvalidArgumentError(msg)
    return " ".join((device, *given))


def below_usage(group: str, limit: int, usage: str) -> InvalidArgumentError:
    """The error for a memory limit that is lower than what the group uses, and cannot free."""
    return InvalidArgumentError(
        f"cannot limit the memory of cgroup {group} to {limit}: it uses {usage}",
        hint="give a higher limit, or stop some of its processes",
    )


def refused(failure: OSError, group: str, value: str) -> BoxshipError:
    """The error for a value that the kernel did not take."""
    name = os.path.basename(str(failure.filename))
    what = f"cannot set {name} of cgroup {group} to {value}: {os.strerror(failure.errno or 0)}"
    if failure.errno in _REFUSED:
        return InvalidArgumentError(what)
    if failure.errno == errno.EBUSY:
        return ConflictError(what)
    return InternalError(what)


def missing(controller: str, option: str, group: str) -> UnsupportedError:
    """The error for a limit whose controller the host does not offer."""
    return UnsupportedError(
        f"cannot set {option} of cgroup {group}: the {controller} controller is not available",
        hint=f"mount or enable the {controller} controller, or leave the limit out",
    )


def processes(directory: str) -> list[int]:
    """Process ids in a group and its descendants; empty when it is gone.

    Raises:
        OSError: as read_present: without any told of, all would be taken for ended.
    """
    found: list[int] = []
    for group, _, _ in _below(directory):
        found += [int(pid) for pid in read_present(group, "cgroup.procs").split() if pid.isdigit()]
    return found


def _below(directory: str) -> "Iterator[tuple[int, int, str]]":
    """A group and all below it, innermost first; none when it is gone.

    By descriptors and without recursion: a container may nest its groups deeper than paths go.

    Returns:
        For each its descriptor, that of the group above it and its name there; -1 and empty for
        the group itself.
    """
    here, above = _enter(directory), -1
    names: list[str] = []
    inside: list[list[str]] = []
    try:
        if here >= 0:
            inside.append(_names(here))
        while inside:
            if inside[-1]:
                names.append(inside[-1].pop())
                inner = _enter(names[-1], here)
                if inner < 0:
                    names.pop()
                    continue
                os.close(here)
                here = inner
                inside.append(_names(here))
                continue
            inside.pop()
            above = os.open("..", _DIRECTORY, dir_fd=here) if names else -1
            yield here, above, names.pop() if names else ""
            os.close(here)
            here, above = above, -1
    finally:
        for descriptor in (here, above):
            if descriptor >= 0:
                os.close(descriptor)


def _enter(path: str, around: int | None = None) -> int:
    """A descriptor of a group, -1 when it is gone."""
    try:
        return os.open(path, _DIRECTORY, dir_fd=around)
    except OSError as failure:
        if failure.errno not in _ABSENT:
            raise
        return -1


def kill(pid: int) -> None:
    """SIGKILL one process; no error when it is gone."""
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        return


def huge_page_sizes(directory: str, limit: str) -> list[str]:
    """Sizes of huge pages that a group counts, as `2MB`; limit is how the limit's file ends."""
    try:
        names = [name.split(".") for name in os.listdir(directory)]  # noqa: PTH208 - slow
    except OSError:
        return []
    return sorted(name[1] for name in names if name[0] == "hugetlb" and name[2:] == [limit])


def children(directory: str) -> list[str]:
    """The groups directly below one; none when it is gone.

    Raises:
        OSError: as read_present.
    """
    return [f"{directory}/{name}" for name in _names(directory)]


def _names(directory: str | int) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as failure:
        if failure.errno not in _ABSENT:
            raise
        return []


def remove(directory: str, deadline: float) -> None:
    """Delete a group and what is below it, waiting for dying processes until the deadline.

    Raises:
        ConflictError: it is still busy at the deadline (monotonic seconds).
    """
    pause = 0.0005
    while not _try_remove(directory):
        if time.monotonic() > deadline:
            pids = " ".join(str(pid) for pid in processes(directory)[:8]) or "none visible"
            raise ConflictError(f"cannot remove cgroup {directory}: processes in it: {pids}")
        # Exit notification comes before the kernel takes the task out of its group.
        time.sleep(pause)
        pause = min(pause * 2, 0.02)


def _try_remove(directory: str) -> bool:
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError as failure:
        if failure.errno not in _IN_USE:
            raise
    else:
        return True
    for _, above, name in _below(directory):
        try:
            if name:
                os.rmdir(name, dir_fd=above)
        except OSError as failure:
            if failure.errno not in (*_IN_USE, errno.ENOENT):
                raise
    return False
