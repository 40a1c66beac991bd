from typing import Any

import pytest

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.runtime.cgroups.devices import DEFAULTS, DeviceRule, device_rules, exceptions


def test_defaults_follow_the_given_rules() -> None:
    rules = device_rules(
        [
            {"allow": False, "access": "rwm"},
            {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"},
        ]
    )
    assert rules[0] == (False, "a", -1, -1, "rwm")
    assert rules[1] == (True, "c", 10, 229, "rw")
    assert tuple(rules[2:]) == DEFAULTS


def test_a_given_default_is_not_written_twice() -> None:
    null = {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"}
    rules = device_rules([{"allow": False}, null])
    assert len(rules) == len(set(rules))


def test_everything_allowed_is_one_rule() -> None:
    earlier = {"allow": True, "type": "c", "major": 4, "minor": 1}
    assert device_rules([earlier, {"allow": True, "access": "rwm"}]) == [(True, "a", -1, -1, "rwm")]


def test_what_a_later_rule_for_everything_overrides_is_dropped() -> None:
    rules = device_rules([{"allow": True, "type": "b", "major": 8}, {"allow": False}])
    assert not any(rule[2] == 8 for rule in rules)


@pytest.mark.parametrize(
    "entry", [{"type": "x"}, {"access": "rwx"}, {"major": 1 << 32}, {"minor": 1 << 31}]
)
def test_what_no_device_has(entry: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid device rule"):
        device_rules([entry])


def test_a_list_without_a_rule_for_everything_denies_the_rest() -> None:
    assert device_rules([{"allow": True, "type": "b", "major": 8}])[:2] == [
        (False, "a", -1, -1, "rwm"),
        (True, "b", 8, -1, "rwm"),
    ]


def test_a_rule_for_some_access_to_everything_resets_nothing() -> None:
    rules = device_rules([{"allow": True}, {"allow": False, "access": "m"}])
    assert rules == [(True, "a", -1, -1, "rwm"), (False, "a", -1, -1, "m")]
    assert exceptions(rules, "/c")[1:] == [(False, "b", -1, -1, "m"), (False, "c", -1, -1, "m")]


_DENY = (False, "a", -1, -1, "rwm")


@pytest.mark.parametrize(
    ("rules", "written"),
    [
        ([(True, "c", 1, 3, "r"), (True, "c", 1, 3, "w")], [(True, "c", 1, 3, "rw")]),
        ([(True, "c", 1, 3, "rwm"), (False, "c", 1, 3, "w")], [(True, "c", 1, 3, "rm")]),
        ([(True, "c", 1, 3, "rwm"), (False, "c", 1, -1, "rwm")], []),
        ([(True, "c", 1, -1, "m"), (False, "c", 1, 3, "rw")], [(True, "c", 1, -1, "m")]),
        ([(True, "b", 8, -1, "rwm"), (False, "c", 8, 1, "w")], [(True, "b", 8, -1, "rwm")]),
    ],
)
def test_rules_as_version_1_has_them(rules: list[DeviceRule], written: list[DeviceRule]) -> None:
    assert exceptions([_DENY, *rules], "/c") == [_DENY, *written]


def test_a_hole_in_a_wider_rule_is_refused_on_version_1() -> None:
    with pytest.raises(UnsupportedError, match=r"cannot deny devices c 1:11 w to cgroup /c"):
        exceptions([_DENY, (True, "c", 1, -1, "rw"), (False, "c", 1, 11, "w")], "/c")
