"""A user to whom the host's root has given control groups: limits and pause work as for root."""

import os
import time
from pathlib import Path

import pytest

from boxship.runtime.cgroups import detect, open_cgroup
from tests.system.rootless.conftest import GID, UID

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.cgroup1, pytest.mark.slow]


@pytest.fixture
def delegated():
    """A group of the user on every hierarchy."""
    hierarchies = detect()
    if hierarchies.version != 1:
        pytest.skip("needs version 1 hierarchies")
    path = f"/boxship-delegated-{os.getpid()}"
    group = open_cgroup(hierarchies, path)
    group.create()
    for point in set(hierarchies.v1.values()):
        place = Path(point + path)
        for file in (place, *place.iterdir()):
            os.chown(file, UID, GID)
    yield path
    group.remove()


def test_limits_and_pause(box, delegated):
    box.linux["cgroupsPath"] = f"{delegated}/one"
    box.linux["resources"] = {"pids": {"limit": 9}}
    box.shell("while :; do sleep 1; done").start()
    pids = Path(detect().v1["pids"] + delegated) / "one"
    assert (pids / "pids.max").read_text() == "9\n"
    assert str(box.state()["pid"]) in (pids / "cgroup.procs").read_text().split()
    assert box.execute("true").code == 0
    for words, status in (
        (("pause",), "paused"),
        (("resume",), "running"),
        (("update", "--pids-limit", "12"), "running"),
    ):
        done = box.user.runtime(*words, box.id)
        assert done.code == 0, done.err
        assert box.state()["status"] == status
    assert (pids / "pids.max").read_text() == "12\n"
    assert box.user.runtime("delete", "--force", box.id).code == 0
    deadline = time.monotonic() + 10
    while pids.exists():
        assert time.monotonic() < deadline
