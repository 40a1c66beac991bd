"""Counters of a version 2 group."""

from boxship.runtime.cgroups.files import flat_keyed, read_or, whole
from boxship.runtime.cgroups.stats import CgroupStats, IoStat

_NANOSECONDS = 1000  # the kernel counts microseconds


def read_stats(directory: str) -> CgroupStats:
    """Sample a group; counters of controllers the group lacks are 0."""
    cpu = flat_keyed(read_or(directory, "cpu.stat", ""))
    events = flat_keyed(read_or(directory, "memory.events", ""))
    return CgroupStats(
        cpu_total=cpu.get("usage_usec", 0) * _NANOSECONDS,
        cpu_user=cpu.get("user_usec", 0) * _NANOSECONDS,
        cpu_system=cpu.get("system_usec", 0) * _NANOSECONDS,
        cpu_per_cpu=(),
        cpu_periods=cpu.get("nr_periods", 0),
        cpu_throttled_periods=cpu.get("nr_throttled", 0),
        cpu_throttled_time=cpu.get("throttled_usec", 0) * _NANOSECONDS,
        memory_usage=whole(read_or(directory, "memory.current", "")),
        memory_max_usage=whole(read_or(directory, "memory.peak", "")),
        memory_limit=whole(read_or(directory, "memory.max", "")),
        memory_failures=events.get("max", 0),
        memory=flat_keyed(read_or(directory, "memory.stat", "")),
        pids_current=whole(read_or(directory, "pids.current", "")),
        pids_limit=whole(read_or(directory, "pids.max", "")),
        io=tuple(_io(line) for line in read_or(directory, "io.stat", "").splitlines() if line),
    )


def _io(line: str) -> IoStat:
    device, *fields = line.split()
    major, _, minor = device.partition(":")
    values = dict(field.split("=", 1) for field in fields if "=" in field)
    return IoStat(
        int(major),
        int(minor),
        int(values.get("rbytes", 0)),
        int(values.get("wbytes", 0)),
        int(values.get("rios", 0)),
        int(values.get("wios", 0)),
    )
