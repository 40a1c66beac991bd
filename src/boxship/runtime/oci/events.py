"""`boxship-runtime events`: counters of a container, in runc's shape, which engines parse."""

import sys
from select import POLLIN, poll

from boxship.errors import ConflictError, InvalidArgumentError
from boxship.kernel import KernelError
from boxship.kernel.linux import LinuxKernel
from boxship.runtime.oci.state import Store, group
from boxship.runtime.spec.encode import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.runtime.cgroups.stats import CgroupStats, Use
    from boxship.runtime.oci.arguments import Arguments

# Milliseconds that poll(2) takes: 24 days.
_LONGEST_POLL = (1 << 31) - 1
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def events(store: Store, arguments: "Arguments", _: "Arguments") -> int:
    """Print a container's counters, once or until it ends; and that it ran out of memory."""
    seconds = _seconds(arguments.text("interval", "5s"))
    record = store.load(arguments.rest[0])
    if store.status(record) == "stopped":
        raise ConflictError("container not running")
    cgroup = group(record)
    kernel = LinuxKernel()
    try:
        pidfd = kernel.pidfd_open(record.pid)
    except KernelError as error:
        raise ConflictError("container not running") from error
    poller = poll()
    poller.register(pidfd, POLLIN)
    killed = cgroup.oom_kills()
    while True:
        before, killed = killed, cgroup.oom_kills()
        if killed > before:
            _print({"type": "oom", "id": record.id})
        _print({"type": "stats", "id": record.id, "data": _counters(cgroup.stats())})
        if arguments.has("stats") or poller.poll(min(seconds * 1000, _LONGEST_POLL)):
            return 0


def _seconds(word: str) -> float:
    """An interval as Go writes it: `5s`, `1m30s`, `200ms`; a bare number is seconds.

    Raises:
        InvalidArgumentError: it is none, or not above zero.
    """
    rest, seconds = word, 0.0
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        number, rest = rest[:digits], rest[digits:]
        unit = rest[: len(rest) - len(rest.lstrip("msh"))] or ("s" if not rest else "")
        rest = rest[len(unit) :] if rest else ""
        try:
            seconds += float(number) * _UNITS[unit]
        except (KeyError, ValueError) as error:
            raise InvalidArgumentError(f"invalid interval {word!r}", hint="as in 5s") from error
    if seconds <= 0:
        raise InvalidArgumentError(f"invalid interval {word!r}", hint="as in 5s")
    return seconds


def _counters(stats: "CgroupStats") -> "dict[str, Any]":
    return {
        "cpu": {
            "usage": {
                "total": stats.cpu_total,
                "percpu": list(stats.cpu_per_cpu),
                "kernel": stats.cpu_system,
                "user": stats.cpu_user,
            },
            "throttling": {
                "periods": stats.cpu_periods,
                "throttledPeriods": stats.cpu_throttled_periods,
                "throttledTime": stats.cpu_throttled_time,
            },
        },
        "memory": {
            "cache": stats.cache,
            "usage": {
                "limit": stats.memory_limit,
                "usage": stats.memory_usage,
                "max": stats.memory_max_usage,
                "failcnt": stats.memory_failures,
            },
            "swap": _use(stats.swap),
            "kernel": _use(stats.kernel),
            "kernelTCP": _use(stats.kernel_tcp),
            "raw": stats.memory,
        },
        "pids": {"current": stats.pids_current, "limit": stats.pids_limit},
        "blkio": {
            "ioServiceBytesRecursive": [
                {"major": io.major, "minor": io.minor, "op": operation, "value": value}
                for io in stats.io
                for operation, value in (("Read", io.read_bytes), ("Write", io.write_bytes))
            ],
            "ioServicedRecursive": [
                {"major": io.major, "minor": io.minor, "op": operation, "value": value}
                for io in stats.io
                for operation, value in (
                    ("Read", io.read_operations),
                    ("Write", io.write_operations),
                )
            ],
        },
        "hugetlb": {
            size: {"usage": use.usage, "max": use.max_usage, "failcnt": use.failures}
            for size, use in stats.huge_pages.items()
        },
    }


def _use(use: "Use") -> "dict[str, int]":
    return {
        "limit": use.limit,
        "usage": use.usage,
        "max": use.max_usage,
        "failcnt": use.failures,
    }


def _print(value: "Any") -> None:
    sys.stdout.write(dumps(value) + "\n")
    sys.stdout.flush()
