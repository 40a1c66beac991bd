"""Counters of a version 1 group."""

from boxship.runtime.cgroups.files import flat_keyed, huge_page_sizes, read_or, whole
from boxship.runtime.cgroups.stats import CgroupStats, IoStat, Use

# What an unlimited v1 counter reads: LONG_MAX rounded down to a page, whatever the page size.
_UNLIMITED = 1 << 62


def read_stats(directories: dict[str, str]) -> CgroupStats:
    """Sample a group; counters of controllers the host lacks are 0."""
    cpu = flat_keyed(_text(directories, "cpu", "cpu.stat"))
    limit = _number(directories, "memory", "memory.limit_in_bytes")
    memory = flat_keyed(_text(directories, "memory", "memory.stat"))
    return CgroupStats(
        cpu_total=_number(directories, "cpuacct", "cpuacct.usage"),
        cpu_user=_number(directories, "cpuacct", "cpuacct.usage_user"),
        cpu_system=_number(directories, "cpuacct", "cpuacct.usage_sys"),
        cpu_per_cpu=_per_cpu(_text(directories, "cpuacct", "cpuacct.usage_percpu")),
        cpu_periods=cpu.get("nr_periods", 0),
        cpu_throttled_periods=cpu.get("nr_throttled", 0),
        cpu_throttled_time=cpu.get("throttled_time", 0),
        memory_usage=_number(directories, "memory", "memory.usage_in_bytes"),
        memory_max_usage=_number(directories, "memory", "memory.max_usage_in_bytes"),
        memory_limit=0 if limit >= _UNLIMITED else limit,
        memory_failures=_number(directories, "memory", "memory.failcnt"),
        memory=memory,
        cache=memory.get("cache", 0),
        swap=_use(directories, "memory", "memory.memsw."),
        kernel=_use(directories, "memory", "memory.kmem."),
        kernel_tcp=_use(directories, "memory", "memory.kmem.tcp."),
        huge_pages=_huge_pages(directories),
        pids_current=_number(directories, "pids", "pids.current"),
        pids_limit=_number(directories, "pids", "pids.max"),
        io=_io(
            _text(directories, "blkio", "blkio.throttle.io_service_bytes_recursive"),
            _text(directories, "blkio", "blkio.throttle.io_serviced_recursive"),
        ),
    )


def _use(directories: dict[str, str], controller: str, prefix: str) -> Use:
    limit = _number(directories, controller, f"{prefix}limit_in_bytes")
    return Use(
        usage=_number(directories, controller, f"{prefix}usage_in_bytes"),
        max_usage=_number(directories, controller, f"{prefix}max_usage_in_bytes"),
        limit=0 if limit >= _UNLIMITED else limit,
        failures=_number(directories, controller, f"{prefix}failcnt"),
    )


def _huge_pages(directories: dict[str, str]) -> dict[str, Use]:
    directory = directories.get("hugetlb")
    sizes = huge_page_sizes(directory, "limit_in_bytes") if directory else []
    return {size: _use(directories, "hugetlb", f"hugetlb.{size}.") for size in sizes}


def _text(directories: dict[str, str], controller: str, name: str) -> str:
    directory = directories.get(controller)
    return read_or(directory, name, "") if directory else ""


def _number(directories: dict[str, str], controller: str, name: str) -> int:
    return whole(_text(directories, controller, name))


def _per_cpu(text: str) -> tuple[int, ...]:
    return tuple(int(value) for value in text.split() if value.isdigit())


def _io(service_bytes: str, serviced: str) -> tuple[IoStat, ...]:
    """Join the two tables of lines `major:minor Operation value`."""
    table: dict[str, dict[str, int]] = {}
    for kind, text in (("bytes", service_bytes), ("count", serviced)):
        for line in text.splitlines():
            fields = line.split()
            if len(fields) == 3 and fields[2].isdigit():
                table.setdefault(fields[0], {})[f"{fields[1]} {kind}"] = int(fields[2])
    found = []
    for device, values in table.items():
        major, _, minor = device.partition(":")
        found.append(
            IoStat(
                int(major),
                int(minor),
                values.get("Read bytes", 0),
                values.get("Write bytes", 0),
                values.get("Read count", 0),
                values.get("Write count", 0),
            )
        )
    return tuple(found)
