"""Time namespaces: offsets of the monotonic and the boot clock (config-linux, "timeOffsets")."""

import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not Path("/proc/self/ns/time").exists(), reason="needs time namespaces"),
]
_DAY = 86_400
# More than the tests take, less than the offsets.
_TOLERANCE = 3_600


def uptime(text):
    return float(text.split()[0])


@pytest.mark.parametrize("separate", [False, True])
def test_a_container_was_booted_another_day(box, separate):
    if separate:
        box.user_namespace()
    box.namespace("time")
    box.spec["linux"]["timeOffsets"] = {
        "boottime": {"secs": 10 * _DAY},
        "monotonic": {"secs": 2 * _DAY, "nanosecs": 999_999_999},
    }
    box.shell("sleep 100").start()
    here = time.clock_gettime(time.CLOCK_BOOTTIME)
    there = uptime(box.command("exec", box.id, "cat", "/proc/uptime").out)
    assert abs(there - here - 10 * _DAY) < _TOLERANCE
    offsets = Path(f"/proc/{box.pid()}/timens_offsets").read_text().split()
    assert offsets == ["monotonic", str(2 * _DAY), "999999999", "boottime", str(10 * _DAY), "0"]


def test_the_first_process_is_in_it(box):
    box.namespace("time")
    box.spec["linux"]["timeOffsets"] = {"boottime": {"secs": 10 * _DAY}}
    result = box.shell("cat /proc/uptime").run()
    assert uptime(result.out) - 10 * _DAY < time.clock_gettime(time.CLOCK_BOOTTIME) + _TOLERANCE
    assert uptime(result.out) > 10 * _DAY


def test_a_time_namespace_without_offsets(box):
    box.namespace("time")
    box.shell("sleep 100").start()
    own = Path("/proc/self/ns/time").readlink()
    assert Path(f"/proc/{box.pid()}/ns/time").readlink() != own


@pytest.mark.parametrize(
    ("offsets", "words"),
    [
        ({"realtime": {"secs": 1}}, "unknown clock linux.timeOffsets.realtime"),
        ({"boottime": {"nanosecs": 1_000_000_000}}, "nanosecs 1000000000 is a second or more"),
        ({"boottime": {"secs": -(1 << 40)}}, "cannot honour linux.timeOffsets: write"),
    ],
)
def test_offsets_that_cannot_be(box, offsets, words):
    box.namespace("time")
    box.spec["linux"]["timeOffsets"] = offsets
    result = box.run()
    assert result.code == 1
    assert words in result.err


def test_offsets_need_a_new_namespace(box):
    box.spec["linux"]["timeOffsets"] = {"boottime": {"secs": 1}}
    assert "linux.timeOffsets needs a new time namespace" in box.run().err
    box.namespace("time", "/proc/self/ns/time")
    assert "linux.timeOffsets needs a new time namespace" in box.run().err
