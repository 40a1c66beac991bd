"""Links that vanish while they are moved, which no real one does at the right moment."""

import struct
from typing import Any

import pytest

from boxship.errors import NotFoundError, UnsupportedError
from boxship.kernel import KernelError
from boxship.kernel.netlink.link import Link
from boxship.kernel.netlink.message import text
from boxship.runtime.netdevices import _carry, _Move

_HEADER = struct.Struct("=BxHiII")
_NAME = 3


class Route:
    """A namespace's socket: each list is asked for once, and the last one for good."""

    def __init__(self, *lists: dict[int, str], refuses: str = "-") -> None:
        self.lists = list(lists)
        self.refuses = refuses
        self.done: list[str] = []

    def dump(self, _request: Any) -> list[bytes]:
        listed = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        return [_HEADER.pack(0, 0, i, 0, 0) + text(_NAME, name) for i, name in listed.items()]

    def transact(self, requests: list[Any]) -> None:
        for request in requests:
            if self.refuses in request.what:
                raise KernelError(1, "netlink", request.what)
            self.done.append(request.what)


def moves(*names):
    links = [Link(i, name, True, 1500, "", 0, "", "") for i, name in enumerate(names, 1)]
    return [_Move(link, link.name, []) for link in links]


def test_one_that_vanishes_brings_the_others_back():
    there = Route({}, {11: "a"}, {11: "a"}, {11: "a"})
    here = Route({21: "a"})
    with pytest.raises(NotFoundError, match="b was removed while it was moved"):
        _carry(here, there, moves("a", "b"), (5, 6))  # type: ignore[arg-type]
    assert there.done[-1] == "move link 11 as a"
    assert here.done[-1].startswith("change link 21")


def test_one_that_vanishes_on_its_way_back():
    there = Route({}, {11: "a"}, {11: "a"})
    here = Route({}, refuses="move link 2 ")
    with pytest.raises(UnsupportedError, match="cannot move network device b"):
        _carry(here, there, moves("a", "b"), (5, 6))  # type: ignore[arg-type]
    assert there.done[-1] == "move link 11 as a"


def test_one_that_cannot_come_back_does_not_keep_the_others():
    there = Route({}, {11: "a"}, {11: "a"}, {11: "a", 12: "b"}, {}, refuses="12 as b")
    here = Route({21: "a"}, refuses="move link 3 ")
    with pytest.raises(UnsupportedError, match=r"cannot move network device c: .*; b cannot be"):
        _carry(here, there, moves("a", "b", "c"), (5, 6))  # type: ignore[arg-type]
    assert there.done[-1] == "move link 11 as a"
