"""Which devices a container may open: the OCI rule list, for either cgroup version."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from boxship.errors import InvalidArgumentError

ANY = -1


class DeviceRule(NamedTuple):
    """One rule; later rules win.

    Attributes:
        kind: `a`, `b` or `c`.
        major: number, or -1 for any; minor likewise.
        access: any of `r`, `w`, `m` (mknod).
    """

    allow: bool
    kind: str
    major: int
    minor: int
    access: str

    @property
    def everything(self) -> bool:
        """Whether the rule resets the whole list."""
        return self.kind == "a" and self.major == ANY and self.minor == ANY


# The runtime specification (config-linux, "Default Devices") wants these usable whatever the
# rules say; making any node is harmless while it cannot be opened. 136 is /dev/pts, 5:2 ptmx.
DEFAULTS = (
    DeviceRule(True, "c", ANY, ANY, "m"),
    DeviceRule(True, "b", ANY, ANY, "m"),
    DeviceRule(True, "c", 1, 3, "rwm"),
    DeviceRule(True, "c", 1, 8, "rwm"),
    DeviceRule(True, "c", 1, 7, "rwm"),
    DeviceRule(True, "c", 5, 0, "rwm"),
    DeviceRule(True, "c", 1, 5, "rwm"),
    DeviceRule(True, "c", 1, 9, "rwm"),
    DeviceRule(True, "c", 136, ANY, "rwm"),
    DeviceRule(True, "c", 5, 2, "rwm"),
)


def device_rules(entries: list[Mapping[str, Any]]) -> list[DeviceRule]:
    """The effective rules of an OCI `resources.devices` list, without what is overridden.

    Raises:
        InvalidArgumentError: an entry has an unknown type or access letter.
    """
    rules = [_rule(entry) for entry in entries]
    for index in range(len(rules) - 1, -1, -1):
        if rules[index].everything:
            rules = rules[index:]
            break
    if rules and rules[0].everything and rules[0].allow and len(rules) == 1:
        return rules
    given = set(rules)
    return rules + [rule for rule in DEFAULTS if rule not in given]


def _rule(entry: Mapping[str, Any]) -> DeviceRule:
    kind = entry.get("type") or "a"
    access = entry.get("access") or "rwm"
    if kind not in ("a", "b", "c", "u") or set(access) - set("rwm"):
        msg = f"invalid device rule: type {kind!r}, access {access!r} (use a, b, c and r, w, m)"
        raise InvalidArgumentError(msg)
    return DeviceRule(
        bool(entry.get("allow")),
        "c" if kind == "u" else kind,
        _number(entry.get("major")),
        _number(entry.get("minor")),
        access,
    )


def _number(value: int | None) -> int:
    return ANY if value is None or value < 0 else value
