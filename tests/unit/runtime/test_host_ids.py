"""Blocks of host ids that daemons divide."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from boxship.errors import ExhaustedError, UnavailableError
from boxship.runtime.host_ids import BLOCKS, HostIds


class Daemons:
    """Whoever holds the lock of a run-time directory."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._locks: dict[str, int] = {}

    def start(self, name: str, lock: str = "daemon.lock") -> HostIds:
        root = self._place / name
        root.mkdir(exist_ok=True)
        self._locks[name] = os.open(root / lock, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._locks[name], fcntl.LOCK_EX)
        return HostIds(root, self._place / "ids")

    def end(self, name: str) -> None:
        os.close(self._locks.pop(name))

    def close(self) -> None:
        for name in list(self._locks):
            self.end(name)


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    with ExitStack() as undo:
        made = Daemons(tmp_path)
        undo.callback(made.close)
        yield made


def test_daemons_have_blocks_of_their_own(daemons: Daemons) -> None:
    one, two = daemons.start("a"), daemons.start("b")
    assert [one.first(), two.first()] == [0, 1]
    assert [one.claim(), one.claim(), two.claim(), two.claim()] == [0, 2, 1, 3]


def test_a_daemon_has_its_blocks_again(daemons: Daemons) -> None:
    daemons.start("a").first()
    second = daemons.start("b")
    assert [second.claim(), second.claim()] == [1, 2]
    daemons.end("b")
    again = daemons.start("b")
    assert (again.first(), again.claim(), again.claim(), again.claim()) == (1, 1, 2, 3)


@pytest.mark.parametrize("lock", ["daemon.lock", "keeper.lock"])
def test_blocks_of_a_daemon_without_daemon_and_keeper_are_free(daemons: Daemons, lock: str) -> None:
    daemons.start("gone", lock).first()
    assert daemons.start("second").first() == 1
    daemons.end("gone")
    assert daemons.start("third").first() == 0


def test_blocks_run_out(daemons: Daemons) -> None:
    one = daemons.start("a")
    assert [one.claim() for _ in range(BLOCKS)] == list(range(BLOCKS))
    with pytest.raises(ExhaustedError, match="all ranges of user ids are in use"):
        one.claim()
    with pytest.raises(ExhaustedError, match="in use"):
        daemons.start("b").first()


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match=r"cannot be claimed in .*/file/ids"):
        HostIds(tmp_path, tmp_path / "file/ids")
