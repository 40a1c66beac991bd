"""What a group's counters read, in one shape for both versions."""

from typing import NamedTuple


class IoStat(NamedTuple):
    """Bytes and operations of one block device."""

    major: int
    minor: int
    read_bytes: int
    write_bytes: int
    read_operations: int
    write_operations: int


class CgroupStats(NamedTuple):
    """A sample of a group's counters; times in nanoseconds, sizes in bytes, limit 0 for none.

    Attributes:
        memory: the kernel's `memory.stat`, as is.
    """

    cpu_total: int
    cpu_user: int
    cpu_system: int
    cpu_per_cpu: tuple[int, ...]
    cpu_periods: int
    cpu_throttled_periods: int
    cpu_throttled_time: int
    memory_usage: int
    memory_max_usage: int
    memory_limit: int
    memory_failures: int
    memory: dict[str, int]
    pids_current: int
    pids_limit: int
    io: tuple[IoStat, ...]
