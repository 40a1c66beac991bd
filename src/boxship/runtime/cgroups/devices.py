"""Which devices a container may open: the OCI rule list, for either cgroup version."""

from boxship.errors import InvalidArgumentError, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ANY = -1
# Of minor numbers, linux/kdev_t.h; the filter of version 2 compares 32 bits.
_HIGHEST = (1 << 20) - 1
_ALL = frozenset("rwm")

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
    return rule[1:4] == ("a", ANY, ANY) and set(rule[4]) == _ALL


def device_rules(entries: "list[Mapping[str, Any]]") -> list[DeviceRule]:
    """The effective rules of an OCI `resources.devices` list, without what is overridden.

    They begin with a rule for everything: a list without one denies what it does not name, on both
    versions, whatever the group above allows.

    Raises:
        InvalidArgumentError: an entry has an unknown type or access letter, or no device's number.
    """
    rules = [_rule(entry) for entry in entries]
    for index in range(len(rules) - 1, -1, -1):
        if is_everything(rules[index]):
            rules = rules[index:]
            break
    else:
        rules.insert(0, (False, "a", ANY, ANY, "rwm"))
    if rules[0][0]:
        # Everything is allowed but what the list denies by name: it means what it says.
        return rules
    given = set(rules)
    return rules + [rule for rule in DEFAULTS if rule not in given]


def exceptions(rules: list[DeviceRule], group: str) -> list[DeviceRule]:
    """The rules for version 1, whose list is a behaviour for everything and exceptions from it.

    There a rule takes back another one with the very same type and numbers only; any other is
    passed over in silence (security/device_cgroup.c in the kernel).

    Args:
        rules: from `device_rules`.
        group: for the error.

    Raises:
        UnsupportedError: a rule takes back a part of a wider one.
    """
    first, *others = rules
    held: dict[tuple[str, int, int], str] = {}
    for rule in others:
        allow, kind, major, minor, access = rule
        for each in ("b", "c") if kind == "a" else (kind,):
            place = (each, major, minor)
            if allow != first[0]:
                held[place] = _letters(held.get(place, "") + access)
                continue
            for other in [key for key in held if _overlap(key, place)]:
                if not _covers(place, other) and set(held[other]) & set(access):
                    raise _hole(rule, group)
                held[other] = "".join(letter for letter in held[other] if letter not in access)
    return [first, *((not first[0], *key, access) for key, access in held.items() if access)]


def _letters(access: str) -> str:
    return "".join(letter for letter in "rwm" if letter in access)


def _overlap(one: tuple[str, int, int], other: tuple[str, int, int]) -> bool:
    pairs = zip(one[1:], other[1:], strict=True)
    return one[0] == other[0] and all(a == b or ANY in (a, b) for a, b in pairs)


def _covers(wide: tuple[str, int, int], narrow: tuple[str, int, int]) -> bool:
    return all(a in (b, ANY) for a, b in zip(wide[1:], narrow[1:], strict=True))


def _hole(rule: DeviceRule, group: str) -> UnsupportedError:
    allow, kind, major, minor, access = rule
    numbers = ":".join("*" if number == ANY else str(number) for number in (major, minor))
    verb = "allow" if allow else "deny"
    return UnsupportedError(
        f"cannot {verb} devices {kind} {numbers} {access} to cgroup {group}: version 1 cannot take "
        "back a part of a wider rule",
        hint="name the devices in place of the wider rule",
    )


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
    if value is not None and value > _HIGHEST:
        raise InvalidArgumentError(f"invalid device rule: no device has the number {value}")
    return ANY if value is None or value < 0 else value
