from pathlib import Path

import pytest

from boxship.errors import InvalidArgumentError
from boxship.runtime.cgroups import Hierarchies, detect, open_cgroup

_HYBRID = """\
30 23 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:5 - cgroup2 cgroup2 rw,nsdelegate
32 30 0:28 / /sys/fs/cgroup/systemd rw shared:6 - cgroup cgroup rw,xattr,name=systemd
33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:7 - cgroup cgroup rw,cpu,cpuacct
34 30 0:30 / /sys/fs/cgroup/memory rw shared:8 - cgroup cgroup rw,memory,favordynmods
90 30 0:30 / /srv/a\\040chroot/sys/fs/cgroup/memory rw shared:8 - cgroup cgroup rw,memory
"""


def _mountinfo(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mountinfo"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_hybrid_host(tmp_path: Path) -> None:
    found = detect(_mountinfo(tmp_path, _HYBRID))
    assert found.version == 1
    assert found.unified == "/sys/fs/cgroup/unified"
    assert found.v1 == {
        "name=systemd": "/sys/fs/cgroup/systemd",
        "cpu": "/sys/fs/cgroup/cpu,cpuacct",
        "cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
        "memory": "/sys/fs/cgroup/memory",
    }


def test_a_bound_copy_in_front_does_not_win(tmp_path: Path) -> None:
    lines = _HYBRID.splitlines(keepends=True)
    found = detect(_mountinfo(tmp_path, "".join([lines[-1], *lines[:-1]])))
    assert found.v1["memory"] == "/sys/fs/cgroup/memory"


def test_mount_points_with_spaces(tmp_path: Path) -> None:
    found = detect(_mountinfo(tmp_path, _HYBRID.splitlines(keepends=True)[-1]))
    assert found.v1 == {"memory": "/srv/a chroot/sys/fs/cgroup/memory"}


def test_unified_host_reads_its_controllers(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu memory pids\n", encoding="ascii")
    line = f"30 23 0:26 / {tmp_path} rw - cgroup2 cgroup2 rw\n"
    found = detect(_mountinfo(tmp_path, line))
    assert found.v1 == {}
    assert found.unified == str(tmp_path)
    assert found.controllers == ("cpuset", "cpu", "memory", "pids")
    assert found.version == 2


def test_a_named_hierarchy_beside_v2_is_still_v2() -> None:
    assert Hierarchies({"name=systemd": "/x"}, "/sys/fs/cgroup", ("memory",)).version == 2


def test_host_without_cgroups(tmp_path: Path) -> None:
    found = detect(_mountinfo(tmp_path, "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"))
    group = open_cgroup(found, "/boxship/x")
    group.create()
    group.enter()
    group.remove()
    assert group.processes() == []
    assert group.mounts() == ()
    assert not group.exists()


@pytest.mark.parametrize("path", ["", "/", "/a/../..", "..", "./"])
def test_paths_that_name_no_group(path: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid cgroup path"):
        open_cgroup(Hierarchies({}, "", ()), path)


def test_relative_and_untidy_paths_are_made_absolute() -> None:
    assert open_cgroup(Hierarchies({}, "", ()), "boxship//x/./").path == "/boxship/x"
