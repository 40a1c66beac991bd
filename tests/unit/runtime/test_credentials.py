import pytest

from boxship.errors import InvalidArgumentError
from boxship.runtime.credentials import User, clamp, resolve

USERS = """root:x:0:0:root:/root:/bin/sh
# comment
broken
web:x:1000:1001::/srv/web:/bin/sh
numeric:x:4242:7::/n:/bin/sh
1234:x:55:56::/odd:/bin/sh
"""
GROUP = """root:x:0:
staff:x:50:web,other
web:x:1001:
50:x:0:
docker:x:999:other,web
"""


def found(name="", **ids):
    who = resolve(User(name, **ids), USERS, GROUP)
    return who.uid, who.gid, who.groups, who.home


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("web", (1000, 1001, [1001, 50, 999], "/srv/web")),
        ("1000", (1000, 1001, [1001, 50, 999], "/srv/web")),
        ("web:staff", (1000, 50, [50], "/srv/web")),
        ("web:77", (1000, 77, [77], "/srv/web")),
        ("777", (777, 0, [0], "/")),
        ("777:888", (777, 888, [888], "/")),
        ("1234", (1234, 0, [0], "/")),
        ("web:50", (1000, 50, [50], "/srv/web")),
        (":staff", (0, 50, [50], "/root")),
    ],
)
def test_names_and_numbers(name, expected):
    assert found(name) == expected


def test_ids_of_the_spec_stay_and_bring_a_home():
    assert found(uid=1000, gid=3, groups=(9,)) == (1000, 3, [9], "/srv/web")


def test_a_number_is_no_name_that_an_image_gives_away():
    assert found(uid=1234, gid=5) == (1234, 5, [], "/")
    assert found("web", group_names=("50",))[2] == [1001, 50, 999]


def test_groups_by_name_are_added_once():
    assert found("web", group_names=("docker", "77"))[2] == [1001, 50, 999, 77]


@pytest.mark.parametrize(
    ("user", "text"),
    [
        (User("nobody"), "unable to find user nobody: no matching entries in passwd file"),
        (User("web:x"), "unable to find group x: no matching entries in group file"),
        (User("", group_names=("x",)), "unable to find group x: no matching entries in group file"),
        (User("4294967295"), "uids and gids must be in range 0-2147483647"),
    ],
)
def test_texts_that_clients_know(user, text):
    with pytest.raises(InvalidArgumentError) as failure:
        resolve(user, USERS, GROUP)
    assert str(failure.value) == text


@pytest.mark.parametrize(
    ("value", "bound", "result"), [(5, 3, 3), (2, 3, 2), (-1, 3, 3), (7, -1, 7), (-1, -1, -1)]
)
def test_clamp_knows_unlimited(value, bound, result):
    assert clamp(value, bound) == result
