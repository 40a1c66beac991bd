"""Limits of a container as OCI `linux.resources` (runtime spec, config-linux.md)."""

import os
from pathlib import Path
from typing import Any

from boxship.errors import InvalidArgumentError
from boxship.model.container import Resources, ThrottleDevice

_PERIOD = 100_000
_NANO = 1_000_000_000
_THROTTLES = {
    "throttleReadBpsDevice": "read_bps",
    "throttleWriteBpsDevice": "write_bps",
    "throttleReadIOPSDevice": "read_iops",
    "throttleWriteIOPSDevice": "write_iops",
}


def unified_host() -> bool:
    """Whether this host has control groups of version 2."""
    return Path("/sys/fs/cgroup/cgroup.controllers").exists()


def discarded(limits: Resources, *, unified: bool) -> list[str]:
    """What Docker says of limits that it leaves out where version 2 has none of the kind."""
    warnings = []
    if unified and (limits.memory_swappiness or 0) > 0:
        warnings.append(
            "Your kernel does not support memory swappiness capabilities or the cgroup is not "
            "mounted. Memory swappiness discarded."
        )
    if unified and limits.oom_kill_disable:
        warnings.append("Your kernel does not support OomKillDisable. OomKillDisable discarded.")
    return warnings


def linux_resources(limits: Resources, *, unified: bool) -> dict[str, Any]:
    """The document; parts without a limit are left out.

    Args:
        limits: of the container.
        unified: the host has version 2, where the runtime refuses what there is no file for.

    Raises:
        InvalidArgumentError: a throttled device does not exist.
    """
    parts = {
        "memory": _memory(limits, unified=unified),
        "cpu": _cpu(limits),
        "blockIO": _block_io(limits),
        "pids": {"limit": limits.pids_limit} if limits.pids_limit > 0 else {},
    }
    return {name: part for name, part in parts.items() if part}


def _memory(limits: Resources, *, unified: bool) -> dict[str, Any]:
    memory: dict[str, Any] = {}
    if limits.memory:
        memory["limit"] = limits.memory
        # As with Docker, as much swap as memory unless told otherwise.
        memory["swap"] = limits.memory_swap or limits.memory * 2
    if limits.memory_reservation:
        memory["reservation"] = limits.memory_reservation
    if unified:
        return memory
    if limits.memory_swappiness is not None and limits.memory_swappiness >= 0:
        memory["swappiness"] = limits.memory_swappiness
    if limits.oom_kill_disable:
        memory["disableOOMKiller"] = True
    return memory


def _cpu(limits: Resources) -> dict[str, Any]:
    cpu: dict[str, Any] = {
        "shares": limits.cpu_shares,
        "period": limits.cpu_period,
        "quota": limits.cpu_quota,
        "cpus": limits.cpuset_cpus,
        "mems": limits.cpuset_mems,
    }
    if limits.nano_cpus:
        cpu["period"] = _PERIOD
        cpu["quota"] = limits.nano_cpus * _PERIOD // _NANO
    return {name: value for name, value in cpu.items() if value}


def _block_io(limits: Resources) -> dict[str, Any]:
    block: dict[str, Any] = {}
    if limits.blkio_weight:
        block["weight"] = limits.blkio_weight
    for name, field in _THROTTLES.items():
        devices: tuple[ThrottleDevice, ...] = getattr(limits, field)
        entries = [_throttle(device) for device in devices]
        if entries:
            block[name] = entries
    return block


def _throttle(device: ThrottleDevice) -> dict[str, int]:
    try:
        number = Path(device.path).stat().st_rdev
    except OSError as failure:
        raise InvalidArgumentError(
            f"cannot throttle device {device.path}: {(failure.strerror or '').lower()}"
        ) from failure
    return {"major": os.major(number), "minor": os.minor(number), "rate": device.rate}
