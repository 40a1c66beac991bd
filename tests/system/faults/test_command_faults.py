"""Every call of a command on a container fails in turn: it is told, and the container is whole."""

import errno
import os
from pathlib import Path

import pytest

from tests.system.faults.play import play
from tests.system.runtime.conftest import Box

pytestmark = [pytest.mark.root, pytest.mark.slow]
DRIVER = Path(__file__).with_name("commands.py")
SHORTAGES = (os.strerror(errno.EMFILE), os.strerror(errno.ENOMEM))
# What a container may be after a command on it that failed, or did not mind the fault.
AFTER = {
    "start": ("created", "running", "stopped"),
    "kill": ("running",),
    # Version 1 kills what it has frozen.
    "delete": ("running", "paused", "stopped", "not_found"),
    "pause": ("running", "paused"),
    "resume": ("running", "paused"),
    "update": ("running",),
}

DONE = {"delete": "not_found", "pause": "paused", "resume": "running", "start": "running"}


@pytest.mark.parametrize("mode", sorted(AFTER))
def test_each_call(box: Box, mode: str) -> None:
    box.shell("exec sleep 1000").save()
    faults = play(DRIVER, box, mode)
    for fault in faults:
        assert fault["left"] == {}, fault
        assert fault["status"] in AFTER[mode], fault
        assert "\n" not in fault["told"], fault
        if fault["told"]:
            known = fault["call"].partition(" ")[0] in fault["told"]
            assert known or fault["reason"] in fault["told"], fault
        if fault["reason"] in SHORTAGES and fault["call"] and fault["status"] != DONE.get(mode):
            # What was not done is told. How groups are mounted is known without this file.
            assert fault["told"] or fault["call"].endswith("cgroup.controllers"), fault
    assert sum(bool(fault["told"]) for fault in faults) >= 1, faults
