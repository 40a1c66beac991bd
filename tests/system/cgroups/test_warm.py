"""The move that changes nothing."""

from pathlib import Path

import pytest

from boxship.runtime.cgroups.hierarchies import detect
from boxship.runtime.cgroups.values import Hierarchies
from boxship.runtime.cgroups.warm import Warmer, rejoin

pytestmark = [pytest.mark.root, pytest.mark.cgroup1]


def test_a_process_stays_where_it_is() -> None:
    before = Path("/proc/self/cgroup").read_text()
    assert rejoin(detect())
    assert Path("/proc/self/cgroup").read_text() == before


@pytest.mark.parametrize("group", ["/../elsewhere", "/no/such/group"])
def test_what_cannot_be_rejoined_is_left_alone(tmp_path: Path, group: str) -> None:
    hierarchies = detect()
    name = next(iter(hierarchies.v1))
    groups = tmp_path / "cgroup"
    groups.write_text(f"9:not-mounted:/\n1:{name}:{group}\n0::/\n")
    assert not rejoin(hierarchies, groups)


def test_the_unified_hierarchy_needs_no_thread() -> None:
    Warmer(Hierarchies({}, "/sys/fs/cgroup", ("memory",))).foresee()
