"""What a group's counters read, in one shape for both versions."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class IoStat(NamedTuple):
    """Bytes and operations of one block device."""

    major: int
    minor: int
    read_bytes: int
    write_bytes: int
    read_operations: int
    write_operations: int


class Use(NamedTuple):
    """One kind of memory: bytes, limit 0 for none, and how often the limit was met."""

    usage: int = 0
    max_usage: int = 0
    limit: int = 0
    failures: int = 0


class CgroupStats(NamedTuple):
    """A sample of a group's counters; times in nanoseconds, sizes in bytes, limit 0 for none.

    Attributes:
        memory: the kernel's `memory.stat`, as is.
        cache: bytes of files that are kept in memory.
        swap: memory together with swap.
        kernel: the kernel's own memory for the group.
        kernel_tcp: buffers of TCP sockets; version 1 only.
        huge_pages: by size, as in `2MB`.
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
    cache: int = 0
    swap: Use = Use()
    kernel: Use = Use()
    kernel_tcp: Use = Use()
    huge_pages: Mapping[str, Use] = MappingProxyType({})
