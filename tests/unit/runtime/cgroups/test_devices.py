import pytest

from boxship.errors import InvalidArgumentError
from boxship.runtime.cgroups.devices import DEFAULTS, device_rules


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


@pytest.mark.parametrize("entry", [{"type": "x"}, {"access": "rwx"}])
def test_unknown_words(entry: dict[str, str]) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid device rule"):
        device_rules([entry])
