"""OCI `linux.resources`, which speaks version 1, to the control files of cgroup version 2."""

from math import log2

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.runtime.cgroups import files
from boxship.runtime.cgroups.devices import device_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from boxship.runtime.cgroups.devices import DeviceRule

    DeviceDoor = Callable[[tuple[DeviceRule, ...]], None]

_THROTTLES = (
    ("throttleReadBpsDevice", "rbps"),
    ("throttleWriteBpsDevice", "wbps"),
    ("throttleReadIOPSDevice", "riops"),
    ("throttleWriteIOPSDevice", "wiops"),
)


class _Group:
    __slots__ = ("directory", "path", "restrict_devices", "warnings")

    def __init__(self, directory: str, path: str, restrict_devices: "DeviceDoor") -> None:
        self.directory = directory
        self.path = path
        self.restrict_devices = restrict_devices
        self.warnings: list[str] = []

    def set(self, name: str, value: str) -> None:
        try:
            files.write(self.directory, name, value)
        except FileNotFoundError as failure:
            controller = name.partition(".")[0]
            if self.controls(controller):
                raise UnsupportedError(
                    f"cannot set {name} of cgroup {self.path}: no such file or directory",
                    hint="this kernel does not have it",
                ) from failure
            raise files.missing(controller, name, self.path) from failure
        except OSError as failure:
            raise files.refused(failure, self.path, value) from failure

    def controls(self, controller: str) -> bool:
        """Whether a controller is enabled for this group; every group has the core's files."""
        offered = files.read_or(self.directory, "cgroup.controllers", "").split()
        return controller == "cgroup" or controller in offered

    def quota(self) -> str:
        """The processor time in force, as `cpu.max` has it."""
        return files.read_or(self.directory, "cpu.max", "").partition(" ")[0] or "max"

    def offers(self, name: str, value: str) -> bool:
        """Set a value where the kernel has the file; False where it does not."""
        try:
            self.set(name, value)
        except UnsupportedError:
            return False
        return True


def apply_limits(
    directory: str,
    path: str,
    resources: "Mapping[str, Any]",
    restrict_devices: "DeviceDoor",
) -> tuple[str, ...]:
    """Write every limit that is given; see `api.Cgroup.apply`."""
    group = _Group(directory, path, restrict_devices)
    for key, apply in _SECTIONS:
        section = resources.get(key)
        if section:
            apply(group, section)
    return tuple(group.warnings)


def cpu_weight(shares: int) -> int:
    """`cpu.weight` (1 to 10000) of v1 shares (2 to 262144), keeping both defaults equal.

    The exponential fit through (2, 1), (1024, 100) and (262144, 10000) that OCI runtimes use since
    2025, in place of a line that made the default of 1024 a weight of 39.
    """
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    bits = log2(shares)
    exponent = (bits * bits + 125 * bits) / 612 - 7 / 34
    return max(1, min(10000, _round_up(10.0**exponent)))


def io_weight(weight: int) -> int:
    """`io.weight` (1 to 10000) of a v1 block I/O weight (10 to 1000), on a line."""
    return 1 + (max(10, min(1000, weight)) - 10) * 9999 // 990


def _round_up(value: float) -> int:
    whole = int(value)
    # 1024 must give 100 exactly, whatever the last bit of the float says.
    return whole if value - whole < 1e-9 else whole + 1


def _devices(group: _Group, entries: "list[Mapping[str, Any]]") -> None:
    group.restrict_devices(tuple(device_rules(entries)))


def _memory(group: _Group, memory: "Mapping[str, Any]") -> None:
    _refuse_memory(group, memory)
    limit, swap = memory.get("limit"), memory.get("swap")
    if memory.get("checkBeforeUpdate") and limit is not None and limit >= 0:
        _check_usage(group, limit)
    swap_value = _swap(limit, swap)
    if swap_value == "max":
        _set_swap(group, swap_value)
        swap_value = ""
    if limit:
        group.set("memory.max", files.amount(limit))
    _set_swap(group, swap_value)
    if memory.get("reservation"):
        group.set("memory.low", files.amount(memory["reservation"]))


def _refuse_memory(group: _Group, memory: "Mapping[str, Any]") -> None:
    asked = [key for key in ("kernel", "kernelTCP") if memory.get(key) not in (None, 0, -1)]
    if memory.get("swappiness") is not None:
        asked.append("swappiness")
    if memory.get("disableOOMKiller"):
        asked.append("disableOOMKiller")
    if memory.get("useHierarchy") is False:
        asked.append("useHierarchy")
    if asked:
        raise UnsupportedError(
            f"cannot honour memory.{asked[0]} of cgroup {group.path}: cgroup version 2 has none",
            hint="leave it out of linux.resources.memory",
        )


def _check_usage(group: _Group, limit: int) -> None:
    """Refuse what version 1 would: here the kernel kills to get below a limit."""
    usage = files.whole(files.read_or(group.directory, "memory.current", ""))
    if limit < usage:
        raise files.below_usage(group.path, limit, str(usage))


def _swap(limit: int | None, swap: int | None) -> str:
    """`memory.swap.max`, swap alone, of OCI's memory with swap; empty to leave it as it is."""
    if swap == -1 or (limit == -1 and not swap):
        return "max"
    if not swap:
        return "" if swap is None else "0"
    if not limit or limit == -1 or swap < limit:
        raise InvalidArgumentError(
            f"invalid memory limits: memory with swap ({swap}) needs a memory limit of no more"
        )
    return str(swap - limit)


def _set_swap(group: _Group, value: str) -> None:
    if not value:
        return
    if not group.offers("memory.swap.max", value) and value not in ("max", "0"):
        group.warnings.append(
            "the kernel does not account for swap: memory is limited without swap"
        )


def _cpu(group: _Group, cpu: "Mapping[str, Any]") -> None:
    if cpu.get("realtimePeriod") or cpu.get("realtimeRuntime"):
        raise UnsupportedError(
            f"cannot set a real-time budget of cgroup {group.path}: cgroup version 2 has none"
        )
    _weight_or_idle(group, cpu)
    _bandwidth(group, cpu)
    for key, name in (("cpus", "cpuset.cpus"), ("mems", "cpuset.mems")):
        if cpu.get(key):
            group.set(name, cpu[key])


def _weight_or_idle(group: _Group, cpu: "Mapping[str, Any]") -> None:
    shares, idle = cpu.get("shares"), cpu.get("idle")
    if shares and idle is not None:
        # An idle group's weight cannot be changed.
        group.set("cpu.idle", "0")
    if shares:
        group.set("cpu.weight", str(cpu_weight(shares)))
    if idle is not None:
        group.set("cpu.idle", str(idle))


def _bandwidth(group: _Group, cpu: "Mapping[str, Any]") -> None:
    """Set quota, period and burst; what is not given stays as it is."""
    quota, period, burst = cpu.get("quota"), cpu.get("period"), cpu.get("burst")
    if burst is not None and quota:
        # The kernel refuses a quota below the burst that is still there.
        group.offers("cpu.max.burst", "0")
    if quota or period:
        # The kernel keeps the period where the quota stands alone; a period cannot.
        allowed = (str(quota) if quota > 0 else "max") if quota else group.quota()
        group.set("cpu.max", f"{allowed} {period}" if period else allowed)
    if burst is not None:
        group.set("cpu.max.burst", str(burst))


def _pids(group: _Group, pids: "Mapping[str, Any]") -> None:
    limit = pids.get("limit")
    if limit is not None:
        group.set("pids.max", files.amount(limit))


def _block_io(group: _Group, block_io: "Mapping[str, Any]") -> None:
    devices = block_io.get("weightDevice") or ()
    if block_io.get("leafWeight") or any(device.get("leafWeight") for device in devices):
        raise UnsupportedError(
            f"cannot honour blockIO.leafWeight of cgroup {group.path}: cgroup version 2 has none",
            hint="use weight: processes and groups below never compete there",
        )
    if block_io.get("weight"):
        _weight(group, "", block_io["weight"])
    for device in block_io.get("weightDevice") or ():
        if device.get("weight"):
            _weight(group, f"{device['major']}:{device['minor']} ", device["weight"])
    for key, name in _THROTTLES:
        for device in block_io.get(key) or ():
            value = f"{device['major']}:{device['minor']} {name}={device['rate'] or 'max'}"
            group.set("io.max", value)


def _weight(group: _Group, device: str, weight: int) -> None:
    """BFQ's weight takes v1's numbers; the iocost controller's has its own scale."""
    bfq = f"{device}{weight}"
    iocost = f"{device or 'default '}{io_weight(weight)}"
    if not (group.offers("io.bfq.weight", bfq) or group.offers("io.weight", iocost)):
        group.warnings.append(
            "no block scheduler of this kernel knows weights: the weight is discarded"
        )


def _huge_pages(group: _Group, limits: "list[Mapping[str, Any]]") -> None:
    for entry in limits:
        size, limit = entry["pageSize"], str(entry["limit"])
        group.set(f"hugetlb.{size}.max", limit)
        # Reservations are counted on their own since kernel 5.7.
        group.offers(f"hugetlb.{size}.rsvd.max", limit)


def _network(group: _Group, network: "Mapping[str, Any]") -> None:
    if network.get("classID") or network.get("priorities"):
        raise UnsupportedError(
            f"cannot set network class or priority of cgroup {group.path}: version 2 has none",
            hint="match the cgroup's path in nftables instead",
        )


def _rdma(group: _Group, rdma: "Mapping[str, Mapping[str, Any]]") -> None:
    for device, limits in rdma.items():
        group.set("rdma.max", files.rdma_line(device, limits))


def _unified(group: _Group, unified: "Mapping[str, str]") -> None:
    for name, value in unified.items():
        controller, point, rest = name.partition(".")
        if "/" in name or not (controller and point and rest):
            # The quoted part is what clients of other runtimes look for.
            raise InvalidArgumentError(
                "invalid linux.resources.unified: the specified key has not the form "
                f"CONTROLLER.VALUE `{name}`"
            )
        if not group.controls(controller):
            raise UnsupportedError(
                f"cannot set {name} of cgroup {group.path}: the requested cgroup controller "
                f"`{controller}` is not available",
                hint="enable it in the group above, or leave the key out",
            )
        # Files with a line for each device take one at a time.
        for line in str(value).split("\n") if value else ("",):
            group.set(name, line)


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
