"""`boxship-runtime update`: change the limits of a container."""

from boxship.errors import ConflictError
from boxship.runtime import document
from boxship.runtime.state import Store, group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.runtime.arguments import Arguments

# option: section and key of the OCI resources object
_NUMBERS = {
    "memory": ("memory", "limit"),
    "memory-reservation": ("memory", "reservation"),
    "memory-swap": ("memory", "swap"),
    "cpu-period": ("cpu", "period"),
    "cpu-quota": ("cpu", "quota"),
    "cpu-share": ("cpu", "shares"),
    "pids-limit": ("pids", "limit"),
    "blkio-weight": ("blockIO", "weight"),
}
_TEXTS = {"cpuset-cpus": ("cpu", "cpus"), "cpuset-mems": ("cpu", "mems")}


def update(store: Store, arguments: "Arguments", _: "Arguments") -> int:
    """Apply new limits and remember them in the container's document."""
    record = store.load(arguments.rest[0])
    if store.status(record) == "stopped":
        raise ConflictError(f"cannot update container {record.id}: it is stopped")
    resources = _resources(arguments)
    group(record).apply(resources)
    linux = record.spec.setdefault("linux", {})
    kept = linux.setdefault("resources", {})
    for section, values in resources.items():
        if isinstance(values, dict):
            kept.setdefault(section, {}).update(values)
        else:
            kept[section] = values
    store.save(record)
    return 0


def _resources(arguments: "Arguments") -> "dict[str, Any]":
    path = arguments.text("resources")
    if path:
        found: dict[str, Any] = (
            document.loads(document.read_text(0)) if path == "-" else document.read(path)
        )
        from boxship.runtime import shape  # noqa: PLC0415 - only for a file

        shape.check(found, shape.RESOURCES, "resources")
        # A devices list here would replace the rules the container was created with.
        return {name: values for name, values in found.items() if name != "devices" and values}
    resources: dict[str, Any] = {}
    for option, (section, key) in _NUMBERS.items():
        if arguments.text(option):
            resources.setdefault(section, {})[key] = arguments.number(option)
    for option, (section, key) in _TEXTS.items():
        if arguments.text(option):
            resources.setdefault(section, {})[key] = arguments.text(option)
    return resources
