import re

import pytest

from boxship.engine.containers.names import check_name, random_name
from boxship.errors import InvalidArgumentError


@pytest.mark.parametrize("name", ["web", "/web", "a.b-c_d", "9x", "Web1"])
def test_a_good_name_loses_only_its_slash(name: str) -> None:
    assert check_name(name) == name.removeprefix("/")


@pytest.mark.parametrize("name", ["x", "", "-x", "_ab", "a b", "a/b", "ä1"])
def test_a_bad_name_is_refused_in_dockers_words(name: str) -> None:
    with pytest.raises(
        InvalidArgumentError,
        match=re.escape(
            f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        ),
    ):
        check_name(name)


def test_random_names_are_allowed_and_free() -> None:
    for _ in range(50):
        name = random_name(lambda _: False)
        assert check_name(name) == name
        assert name.count("_") == 1


def test_a_digit_is_added_when_names_are_taken() -> None:
    assert random_name(lambda name: not name[-1].isdigit())[-1].isdigit()
