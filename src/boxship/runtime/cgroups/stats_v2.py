"""Counters of a version 2 group."""

from boxship.runtime.cgroups.files import flat_keyed, huge_page_sizes, read_or, whole
from boxship.runtime.cgroups.stats import CgroupStats, IoStat, Use

_NANOSECONDS = 1000  # the kernel counts microseconds


def read_stats(directory: str) -> CgroupStats:
    """Sample a group; counters of controllers the group lacks are 0."""
    cpu = flat_keyed(read_or(directory, "cpu.stat", ""))
    events = flat_keyed(read_or(directory, "memory.events", ""))
    memory = flat_keyed(read_or(directory, "memory.stat", ""))
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
        memory=memory,
        cache=memory.get("file", 0),
        swap=_with_swap(directory),
        kernel=Use(memory.get("kernel", 0)),
        huge_pages={
            size: Use(
                usage=_number(directory, f"hugetlb.{size}.current"),
                limit=_number(directory, f"hugetlb.{size}.max"),
                failures=flat_keyed(read_or(directory, f"hugetlb.{size}.events", "")).get("max", 0),
            )
            for size in huge_page_sizes(directory, "max")
        },
        pids_current=whole(read_or(directory, "pids.current", "")),
        pids_limit=whole(read_or(directory, "pids.max", "")),
        io=tuple(_io(line) for line in read_or(directory, "io.stat", "").splitlines() if line),
    )


def _with_swap(directory: str) -> Use:
    """As version 1 counts it: memory and swap together."""
    limits = [_number(directory, name) for name in ("memory.max", "memory.swap.max")]
    usage = [_number(directory, name) for name in ("memory.current", "memory.swap.current")]
    # No swap at all reads 0 as well, and bounds the sum.
    bounded = limits[0] and read_or(directory, "memory.swap.max", "max") != "max"
    return Use(usage=sum(usage), limit=sum(limits) if bounded else 0)


def _number(directory: str, name: str) -> int:
    return whole(read_or(directory, name, ""))


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
