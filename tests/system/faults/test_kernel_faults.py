"""Every system call of a start fails in turn: it is told, and nothing is left of it."""

from pathlib import Path
from typing import Any

import pytest

from tests.system.faults.play import play
from tests.system.runtime.conftest import Box

pytestmark = [pytest.mark.root, pytest.mark.slow]
DRIVER = Path(__file__).with_name("driver.py")


def check(faults: list[dict[str, Any]]) -> None:
    for fault in faults:
        assert fault["left"] == {}, fault
        if fault["told"]:
            assert "\n" not in fault["told"], fault
        if fault["told"] and fault["call"]:
            assert fault["call"] in fault["told"] or fault["reason"] in fault["told"], fault
    for child in (False, True):
        failed = [fault for fault in faults if fault["child"] is child and fault["told"]]
        assert len(failed) >= 3, child


@pytest.mark.parametrize("user", [False, True], ids=["host user", "own user"])
@pytest.mark.parametrize("mode", ["run", "create"])
def test_each_call_of_a_start(box: Box, mode: str, user: bool) -> None:
    if user:
        box.user_namespace()
    box.save()
    check(play(DRIVER, box, mode))


def test_each_call_of_an_exec(box: Box) -> None:
    box.shell("exec sleep 1000").start()
    check(play(DRIVER, box, "exec"))
    assert box.status() == "running"
