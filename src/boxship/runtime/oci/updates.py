"""`boxship-runtime update`: change the limits of a container."""

from boxship.errors import BoxshipError, ConflictError, InvalidArgumentError, UnsupportedError
from boxship.runtime.oci.report import REPORT
from boxship.runtime.oci.state import Store, group
from boxship.runtime.spec import document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.runtime.cgroups.api import Cgroup
    from boxship.runtime.oci.arguments import Arguments

# option: section and key of the OCI resources object
_NUMBERS = {
    "cpu-period": ("cpu", "period"),
    "cpu-quota": ("cpu", "quota"),
    "cpu-share": ("cpu", "shares"),
    "cpu-burst": ("cpu", "burst"),
    "cpu-idle": ("cpu", "idle"),
    "cpu-rt-period": ("cpu", "realtimePeriod"),
    "cpu-rt-runtime": ("cpu", "realtimeRuntime"),
    "pids-limit": ("pids", "limit"),
    "blkio-weight": ("blockIO", "weight"),
}
_BYTES = {
    "memory": ("memory", "limit"),
    "memory-reservation": ("memory", "reservation"),
    "memory-swap": ("memory", "swap"),
    "kernel-memory": ("memory", "kernel"),
    "kernel-memory-tcp": ("memory", "kernelTCP"),
}
_TEXTS = {"cpuset-cpus": ("cpu", "cpus"), "cpuset-mems": ("cpu", "mems")}
_ZERO_IS_UNSET = {
    "memory": [key for _, key in _BYTES.values()],
    "cpu": ["shares", "quota", "period", "realtimePeriod", "realtimeRuntime", "cpus", "mems"],
    "blockIO": ["weight"],
}
_REFUSED = ("l3-cache-schema", "mem-bw-schema")
_UNITS = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40}


def update(store: Store, arguments: "Arguments", _: "Arguments") -> int:
    """Apply new limits and remember them in the container's document; all of them or none."""
    record = store.load(arguments.rest[0])
    if store.status(record) == "stopped":
        raise ConflictError(f"cannot update container {record.id}: it is stopped")
    resources = _resources(arguments)
    kept = (record.spec.get("linux") or {}).get("resources") or {}
    memory = resources.get("memory")
    if memory:
        resources = {**resources, "memory": _with_limits(memory, kept.get("memory") or {})}
    cgroup = group(record)
    try:
        warnings = cgroup.apply(resources)
    except BoxshipError:
        _take_back(cgroup, {name: kept[name] for name in resources if kept.get(name)})
        raise
    for warning in warnings:
        REPORT.warn(warning)
    merge(record.spec, resources)
    store.save(record)
    return 0


def _with_limits(memory: "dict[str, Any]", kept: "dict[str, Any]") -> "dict[str, Any]":
    """Memory and memory with swap together: version 2 counts swap alone, their difference."""
    both = dict(memory)
    if memory.get("swap") and not memory.get("limit") and kept.get("limit"):
        both["limit"] = kept["limit"]
    if (memory.get("limit") or 0) > 0 and not memory.get("swap") and kept.get("swap"):
        both["swap"] = kept["swap"]
    return both


def _take_back(cgroup: "Cgroup", former: "dict[str, Any]") -> None:
    try:
        cgroup.apply(former)
    except BoxshipError as error:
        REPORT.warn(f"a part of the update stays: {error}")


def merge(spec: "dict[str, Any]", resources: "dict[str, Any]") -> None:
    """Put new limits into a document, whose own may be null."""
    linux = spec["linux"] = spec.get("linux") or {}
    kept = linux["resources"] = linux.get("resources") or {}
    for section, values in resources.items():
        if isinstance(values, dict):
            kept[section] = {**(kept.get(section) or {}), **values}
        else:
            kept[section] = values


def _resources(arguments: "Arguments") -> "dict[str, Any]":
    path = arguments.text("resources")
    if path:
        return _from_file(path)
    for option in _REFUSED:
        if arguments.text(option):
            msg = f"cannot honour --{option}: resctrl is not supported"
            raise UnsupportedError(msg, hint="leave it out")
    resources: dict[str, Any] = {}
    for option, (section, key) in (_NUMBERS | _BYTES | _TEXTS).items():
        if not arguments.text(option):
            continue
        value: int | str = arguments.text(option)
        if option in _BYTES:
            value = _bytes(option, arguments.text(option))
        elif option in _NUMBERS:
            value = arguments.number(option)
        resources.setdefault(section, {})[key] = value
    if not resources:
        msg = "nothing to update"
        raise InvalidArgumentError(msg, hint="give a limit, or --resources FILE")
    return resources


def _from_file(path: str) -> "dict[str, Any]":
    """An OCI resources object; a limit of 0 or empty, as in runc's template, is left as it is."""
    from boxship.runtime.spec import shape  # noqa: PLC0415 - only for a file

    found: dict[str, Any] = document.read_open(0, "stdin") if path == "-" else document.read(path)
    shape.check(found, shape.RESOURCES, "resources")
    for section, keys in _ZERO_IS_UNSET.items():
        for key in keys:
            if found.get(section) and not found[section].get(key):
                found[section].pop(key, None)
    # A devices list here would replace the rules the container was created with.
    return {name: values for name, values in found.items() if name != "devices" and values}


def _bytes(option: str, word: str) -> int:
    number = word.lower().rstrip("bkmgt")
    shift = _UNITS.get(word[len(number) :].lower().removesuffix("b"))
    if shift is None or not number.removeprefix("-").isdecimal():
        raise InvalidArgumentError(f"--{option} needs a number of bytes, not {word!r}")
    return int(number) << shift
