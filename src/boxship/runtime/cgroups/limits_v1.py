"""OCI `linux.resources` to the control files of cgroup version 1."""

import errno

from boxship.errors import UnsupportedError
from boxship.runtime.cgroups import files
from boxship.runtime.cgroups.devices import DeviceRule, device_rules, is_everything

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_THROTTLES = (
    ("throttleReadBpsDevice", "blkio.throttle.read_bps_device"),
    ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device"),
    ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device"),
    ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device"),
)
_MEMORY_OTHERS = (
    ("reservation", "memory.soft_limit_in_bytes"),
    ("kernelTCP", "memory.kmem.tcp.limit_in_bytes"),
    ("swappiness", "memory.swappiness"),
)
_CPU_OTHERS = (
    ("shares", "cpu.shares"),
    ("burst", "cpu.cfs_burst_us"),
    ("idle", "cpu.idle"),
)


class _Group:
    __slots__ = ("directories", "path", "warnings")

    def __init__(self, directories: dict[str, str], path: str) -> None:
        self.directories = directories
        self.path = path
        self.warnings: list[str] = []

    def set(self, controller: str, name: str, value: str) -> None:
        directory = self.directories.get(controller)
        if directory is None:
            raise files.missing(controller, name, self.path)
        try:
            files.write(directory, name, value)
        except FileNotFoundError as failure:
            raise UnsupportedError(
                f"cannot set {name} of cgroup {self.path}: this kernel has no such file"
            ) from failure
        except OSError as failure:
            raise files.refused(failure, self.path, value) from failure

    def set_if_offered(self, controller: str, name: str, value: str, warning: str) -> None:
        try:
            self.set(controller, name, value)
        except UnsupportedError:
            if controller not in self.directories:
                raise
            self.warnings.append(warning)


def apply_limits(
    directories: dict[str, str], path: str, resources: "Mapping[str, Any]"
) -> tuple[str, ...]:
    """Write every limit that is given; see `api.Cgroup.apply`."""
    group = _Group(directories, path)
    for key, apply in _SECTIONS:
        section = resources.get(key)
        if section:
            apply(group, section)
    return tuple(group.warnings)


def _devices(group: _Group, entries: "list[Mapping[str, Any]]") -> None:
    directory = group.directories.get("devices")
    if directory is None:
        raise files.missing("devices", "devices.allow", group.path)
    rules = device_rules(entries)
    start = 0
    for end in range(1, len(rules) + 1):
        if end < len(rules) and rules[end][0] == rules[start][0]:
            continue
        name = "devices.allow" if rules[start][0] else "devices.deny"
        try:
            files.write_all(directory, name, [_device_line(rule) for rule in rules[start:end]])
        except OSError as failure:
            raise files.refused(failure, group.path, "the device rules") from failure
        start = end


def _device_line(rule: DeviceRule) -> str:
    if is_everything(rule):
        return "a"
    _, kind, major, minor, access = rule
    return f"{kind} {'*' if major < 0 else major}:{'*' if minor < 0 else minor} {access}"


def _memory(group: _Group, memory: "Mapping[str, Any]") -> None:
    limit, swap = memory.get("limit"), memory.get("swap")
    if limit is not None:
        _memory_limit(group, limit, swap)
    if swap is not None:
        group.set_if_offered(
            "memory",
            "memory.memsw.limit_in_bytes",
            str(swap),
            "the kernel does not account for swap: memory is limited without swap",
        )
    for key, name in _MEMORY_OTHERS:
        if memory.get(key) is not None:
            group.set("memory", name, str(memory[key]))
    if memory.get("disableOOMKiller"):
        group.set("memory", "memory.oom_control", "1")
    if memory.get("kernel"):
        group.warnings.append("a limit of kernel memory has no effect since kernel 5.4: discarded")


def _memory_limit(group: _Group, limit: int, swap: int | None) -> None:
    """Set the limit; the kernel keeps limit <= limit with swap at every moment."""
    directory = group.directories.get("memory")
    if directory is None:
        raise files.missing("memory", "memory.limit_in_bytes", group.path)
    try:
        files.write(directory, "memory.limit_in_bytes", str(limit))
    except OSError as failure:
        if failure.errno != errno.EINVAL or swap is None:
            raise files.refused(failure, group.path, str(limit)) from failure
        # Raising both on a group in use: the bound with swap has to move out of the way first.
        group.set("memory", "memory.memsw.limit_in_bytes", str(swap))
        group.set("memory", "memory.limit_in_bytes", str(limit))


def _cpu(group: _Group, cpu: "Mapping[str, Any]") -> None:
    _bandwidth(group, cpu.get("period"), cpu.get("quota"))
    for key, name in _CPU_OTHERS:
        if cpu.get(key) is not None:
            group.set("cpu", name, str(cpu[key]))
    if cpu.get("realtimePeriod"):
        group.set("cpu", "cpu.rt_period_us", str(cpu["realtimePeriod"]))
    if cpu.get("realtimeRuntime"):
        group.set("cpu", "cpu.rt_runtime_us", str(cpu["realtimeRuntime"]))
    if cpu.get("cpus"):
        group.set("cpuset", "cpuset.cpus", cpu["cpus"])
    if cpu.get("mems"):
        group.set("cpuset", "cpuset.mems", cpu["mems"])


def _bandwidth(group: _Group, period: int | None, quota: int | None) -> None:
    if period:
        directory = group.directories.get("cpu")
        if directory is None:
            raise files.missing("cpu", "cpu.cfs_period_us", group.path)
        try:
            files.write(directory, "cpu.cfs_period_us", str(period))
            period = None
        except OSError as failure:
            # The old quota may exceed the parent's share of the new period.
            if failure.errno != errno.EINVAL or not quota:
                raise files.refused(failure, group.path, str(period)) from failure
    if quota:
        group.set("cpu", "cpu.cfs_quota_us", str(quota))
    if period:
        group.set("cpu", "cpu.cfs_period_us", str(period))


def _pids(group: _Group, pids: "Mapping[str, Any]") -> None:
    limit = pids.get("limit")
    if limit is not None:
        group.set("pids", "pids.max", str(limit) if limit > 0 else "max")


def _block_io(group: _Group, block_io: "Mapping[str, Any]") -> None:
    weight = block_io.get("weight")
    if weight:
        _weight(group, "weight", str(weight))
    for device in block_io.get("weightDevice") or ():
        if device.get("weight"):
            number = f"{device['major']}:{device['minor']}"
            _weight(group, "weight_device", f"{number} {device['weight']}")
    for key, name in _THROTTLES:
        for device in block_io.get(key) or ():
            value = f"{device['major']}:{device['minor']} {device['rate']}"
            group.set("blkio", name, value)


def _weight(group: _Group, suffix: str, value: str) -> None:
    """Set the proportional weight, which is BFQ's since kernel 5.0 removed CFQ."""
    try:
        group.set("blkio", f"blkio.bfq.{suffix}", value)
    except UnsupportedError:
        group.set_if_offered(
            "blkio",
            f"blkio.{suffix}",
            value,
            "no block scheduler of this kernel knows weights: the weight is discarded",
        )


def _huge_pages(group: _Group, limits: "list[Mapping[str, Any]]") -> None:
    for entry in limits:
        name = f"hugetlb.{entry['pageSize']}.limit_in_bytes"
        group.set("hugetlb", name, str(entry["limit"]))


def _network(group: _Group, network: "Mapping[str, Any]") -> None:
    if network.get("classID"):
        group.set("net_cls", "net_cls.classid", str(network["classID"]))
    for entry in network.get("priorities") or ():
        group.set("net_prio", "net_prio.ifpriomap", f"{entry['name']} {entry['priority']}")


def _rdma(group: _Group, rdma: "Mapping[str, Mapping[str, Any]]") -> None:
    for device, limits in rdma.items():
        handles = limits.get("hcaHandles", "max")
        objects = limits.get("hcaObjects", "max")
        group.set("rdma", "rdma.max", f"{device} hca_handle={handles} hca_object={objects}")


def _unified(group: _Group, unified: "Mapping[str, str]") -> None:
    names = ", ".join(sorted(unified))
    raise UnsupportedError(
        f"cannot set {names} of cgroup {group.path}: this host runs cgroup version 1",
        hint="use the named limits (memory, cpu, pids) in place of `unified`",
    )


_SECTIONS = (
    ("devices", _devices),
    ("memory", _memory),
    ("cpu", _cpu),
    ("pids", _pids),
    ("blockIO", _block_io),
    ("hugepageLimits", _huge_pages),
    ("network", _network),
    ("rdma", _rdma),
    ("unified", _unified),
)
