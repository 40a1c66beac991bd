"""OCI `linux.resources` to the control files of cgroup version 1."""

import errno

from boxship.errors import BoxshipError, UnsupportedError
from boxship.runtime.cgroups import files
from boxship.runtime.cgroups.devices import DeviceRule, device_rules, exceptions, is_everything

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
_WEIGHTS = (("weight", "weight"), ("leafWeight", "leaf_weight"))
_KERNEL = "memory.kmem.limit_in_bytes"
_PAGE = 65536  # the largest of any architecture: limits are rounded to pages
_LIMIT = "memory.limit_in_bytes"
_WITH_SWAP = "memory.memsw.limit_in_bytes"
_NO_SWAP = "the kernel does not account for swap: memory is limited without swap"
# Where containers without a path of their own are; the groups up to it are this program's.
_OWN = "/boxship/"


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
            if warning:
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
    rules = exceptions(device_rules(entries), group.path)
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
    if limit and not swap and (limit == -1 or swap == 0):
        # What bounds memory with swap would bound unlimited memory; and 0 is no swap at all.
        swap = limit
    if limit:
        _memory_limit(group, limit, swap)
    if swap:
        group.set_if_offered("memory", _WITH_SWAP, str(swap), "" if swap == -1 else _NO_SWAP)
    if memory.get("reservation"):
        group.set("memory", "memory.soft_limit_in_bytes", str(memory["reservation"]))
    if memory.get("swappiness") is not None:
        group.set("memory", "memory.swappiness", str(memory["swappiness"]))
    if memory.get("disableOOMKiller") is not None:
        group.set("memory", "memory.oom_control", str(int(memory["disableOOMKiller"])))
    _kernel_memory(group, memory)
    _hierarchy(group, memory.get("useHierarchy"))


def _kernel_memory(group: _Group, memory: "Mapping[str, Any]") -> None:
    limit = memory.get("kernel") or 0
    if limit:
        group.set("memory", _KERNEL, str(limit))
        # Kernels from 5.16 on take any value, and do nothing.
        found = files.whole(files.read_or(group.directories["memory"], _KERNEL, ""))
        if limit > 0 and found - found % _PAGE != limit - limit % _PAGE:
            group.warnings.append("this kernel does not limit kernel memory: discarded")
    if memory.get("kernelTCP"):
        group.set("memory", "memory.kmem.tcp.limit_in_bytes", str(memory["kernelTCP"]))


def _hierarchy(group: _Group, wanted: bool | None) -> None:
    """Since kernel 5.11 every group counts what is below it; the file is gone or refuses 0."""
    directory = group.directories.get("memory")
    if wanted is None or (
        directory and files.read_or(directory, "memory.use_hierarchy", "1") == str(int(wanted))
    ):
        return
    group.set("memory", "memory.use_hierarchy", str(int(wanted)))


def _memory_limit(group: _Group, limit: int, swap: int | None) -> None:
    """Set the limit; the kernel keeps limit <= limit with swap at every moment."""
    directory = group.directories.get("memory")
    if directory is None:
        raise files.missing("memory", _LIMIT, group.path)
    try:
        files.write(directory, _LIMIT, str(limit))
    except OSError as failure:
        if failure.errno != errno.EINVAL or not swap:
            raise _too_low(failure, directory, group, limit) from failure
        # Raising both on a group in use: the bound with swap has to move out of the way first.
        group.set("memory", _WITH_SWAP, str(swap))
        group.set("memory", _LIMIT, str(limit))


def _too_low(failure: OSError, directory: str, group: _Group, limit: int) -> BoxshipError:
    if failure.errno != errno.EBUSY:
        return files.refused(failure, group.path, str(limit))
    usage = files.read_or(directory, "memory.usage_in_bytes", "?")
    return files.below_usage(group.path, limit, usage)


def _cpu(group: _Group, cpu: "Mapping[str, Any]") -> None:
    burst = cpu.get("burst")
    if burst is not None and cpu.get("quota"):
        # The kernel refuses a quota below the burst that is still there.
        group.set_if_offered("cpu", "cpu.cfs_burst_us", "0", "")
    _pair(group, "cpu.cfs_period_us", cpu.get("period"), "cpu.cfs_quota_us", cpu.get("quota"))
    if burst is not None:
        group.set("cpu", "cpu.cfs_burst_us", str(burst))
    _weight_or_idle(group, cpu)
    period, runtime = cpu.get("realtimePeriod"), cpu.get("realtimeRuntime")
    if period or runtime:
        _real_time(group, period, runtime)
    if cpu.get("cpus"):
        group.set("cpuset", "cpuset.cpus", cpu["cpus"])
    if cpu.get("mems"):
        group.set("cpuset", "cpuset.mems", cpu["mems"])


def _weight_or_idle(group: _Group, cpu: "Mapping[str, Any]") -> None:
    shares, idle = cpu.get("shares"), cpu.get("idle")
    if shares and idle is not None:
        # An idle group's weight cannot be changed.
        group.set("cpu", "cpu.idle", "0")
    if shares:
        group.set("cpu", "cpu.shares", str(shares))
    if idle is not None:
        group.set("cpu", "cpu.idle", str(idle))


def _real_time(group: _Group, period: int | None, runtime: int | None) -> None:
    directory = group.directories.get("cpu")
    if directory is not None and runtime and group.path.startswith(_OWN):
        from boxship.runtime.cgroups.realtime import grant  # noqa: PLC0415 - hardly ever asked for

        grant(directory, group.path.count("/") - 1, runtime, period)
    _pair(group, "cpu.rt_period_us", period, "cpu.rt_runtime_us", runtime)


def _pair(
    group: _Group, period_file: str, period: int | None, budget_file: str, budget: int | None
) -> None:
    """Set a budget of time and its period, in the order that is valid in between."""
    if period:
        directory = group.directories.get("cpu")
        if directory is None:
            raise files.missing("cpu", period_file, group.path)
        try:
            files.write(directory, period_file, str(period))
            period = None
        except FileNotFoundError:
            # The budget's file is not there either, which names it.
            if not budget:
                group.set("cpu", period_file, str(period))
        except OSError as failure:
            # The old budget may be more than the parent's share of the new period.
            if failure.errno != errno.EINVAL or not budget:
                raise files.refused(failure, group.path, str(period)) from failure
    if budget:
        group.set("cpu", budget_file, str(budget))
    if period:
        group.set("cpu", period_file, str(period))


def _pids(group: _Group, pids: "Mapping[str, Any]") -> None:
    limit = pids.get("limit")
    if limit is not None:
        group.set("pids", "pids.max", files.amount(limit))


def _block_io(group: _Group, block_io: "Mapping[str, Any]") -> None:
    for key, suffix in _WEIGHTS:
        if block_io.get(key):
            _weight(group, suffix, str(block_io[key]))
    for device in block_io.get("weightDevice") or ():
        number = f"{device['major']}:{device['minor']}"
        for key, suffix in _WEIGHTS:
            if device.get(key):
                _weight(group, f"{suffix}_device", f"{number} {device[key]}")
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
            f"no block scheduler of this kernel knows blkio.{suffix}: it is discarded",
        )


def _huge_pages(group: _Group, limits: "list[Mapping[str, Any]]") -> None:
    for entry in limits:
        size, limit = entry["pageSize"], str(entry["limit"])
        group.set("hugetlb", f"hugetlb.{size}.limit_in_bytes", limit)
        # Reservations are counted on their own since kernel 5.7.
        group.set_if_offered("hugetlb", f"hugetlb.{size}.rsvd.limit_in_bytes", limit, "")


def _network(group: _Group, network: "Mapping[str, Any]") -> None:
    if network.get("classID"):
        group.set("net_cls", "net_cls.classid", str(network["classID"]))
    for entry in network.get("priorities") or ():
        group.set("net_prio", "net_prio.ifpriomap", f"{entry['name']} {entry['priority']}")


def _rdma(group: _Group, rdma: "Mapping[str, Mapping[str, Any]]") -> None:
    for device, limits in rdma.items():
        group.set("rdma", "rdma.max", files.rdma_line(device, limits))


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
