"""Which devices a container may open: the OCI rule list, for either cgroup version."""

from boxship.errors import InvalidArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ANY = -1

# (allow, type, major, minor, access): type `a`, `b` or `c`; -1 for any number; access any of `r`,
# `w`, `m` (mknod). Later rules win.
DeviceRule = tuple[bool, str, int, int, str]

# The runtime specification (config-linux, "Default Devices") wants these usable whatever the
# rules say; making any node is harmless while it cannot be opened. 136 is /dev/pts, 5:2 ptmx.
DEFAULTS: tuple[DeviceRule, ...] = (
    (True, "c", ANY, ANY, "m"),
    (True, "b", ANY, ANY, "m"),
    (True, "c", 1, 3, "rwm"),
    (True, "c", 1, 8, "rwm"),
    (True, "c", 1, 7, "rwm"),
    (True, "c", 5, 0, "rwm"),
    (True, "c", 1, 5, "rwm"),
    (True, "c", 1, 9, "rwm"),
    (True, "c", 136, ANY, "rwm"),
    (True, "c", 5, 2, "rwm"),
)


def is_everything(rule: DeviceRule) -> bool:
    """Whether the rule resets the whole list."""
    return rule[1:4] == ("a", ANY, ANY)


def device_rules(entries: "list[Mapping[str, Any]]") -> list[DeviceRule]:
    """The effective rules of an OCI `resources.devices` list, without what is overridden.

    Raises:
        InvalidArgumentError: an entry has an unknown type or access letter.
    """
    rules = [_rule(entry) for entry in entries]
    for index in range(len(rules) - 1, -1, -1):
        if is_everything(rules[index]):
            rules = rules[index:]
            break
    if rules and is_everything(rules[0]) and rules[0][0] and len(rules) == 1:
        return rules
    given = set(rules)
    return rules + [rule for rule in DEFAULTS if rule not in given]


def _rule(entry: "Mapping[str, Any]") -> DeviceRule:
    kind = entry.get("type") or "a"
    access = entry.get("access") or "rwm"
    if kind not in ("a", "b", "c", "u") or set(access) - set("rwm"):
        msg = f"invalid device rule: type {kind!r}, access {access!r} (use a, b, c and r, w, m)"
        raise InvalidArgumentError(msg)
    return (
        bool(entry.get("allow")),
        "c" if kind == "u" else kind,
        _number(entry.get("major")),
        _number(entry.get("minor")),
        access,
    )


def _number(value: int | None) -> int:
    return ANY if value is None or value < 0 else value
