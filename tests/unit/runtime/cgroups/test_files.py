"""Groups below a container's, which the container makes as it likes."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxship.errors import ConflictError
from boxship.runtime.cgroups import files


def nest(top: Path, depth: int) -> None:
    """Make directories in each other, the last with a process; their path is too long to open."""
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("a" * 9, dir_fd=here)
        inner = os.open("a" * 9, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    listing = os.open("cgroup.procs", os.O_WRONLY | os.O_CREAT, dir_fd=here)
    os.write(listing, b"7\n8\n")
    os.close(listing)
    os.close(here)


def unlist(top: Path, depth: int) -> None:
    here = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        inner = os.open("a" * 9, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.unlink("cgroup.procs", dir_fd=here)
    os.close(here)


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "group"
    # Python's own way to remove directories gets no deeper than these groups did.
    subprocess.run(["rm", "-rf", tmp_path / "group"], check=True)


def test_groups_that_are_nested_deeper_than_a_path_is_long(top: Path) -> None:
    depth = 1500
    before = list(Path("/proc/self/fd").iterdir())
    nest(top, depth)
    assert files.processes(str(top)) == [7, 8]
    with pytest.raises(ConflictError, match="processes in it: 7 8"):
        files.remove(str(top), 0)
    unlist(top, depth)
    files.remove(str(top), float("inf"))
    assert not top.exists()
    assert len(list(Path("/proc/self/fd").iterdir())) == len(before)


def test_many_groups_side_by_side(tmp_path: Path) -> None:
    for name in ("x/1", "x/2", "y", "z/1/2"):
        (tmp_path / "group" / name).mkdir(parents=True)
    for number, name in enumerate(("", "x/2", "z/1")):
        (tmp_path / "group" / name / "cgroup.procs").write_text(f"{number}\n")
    assert sorted(files.processes(str(tmp_path / "group"))) == [0, 1, 2]
    assert files.processes(str(tmp_path / "none")) == []
    assert sorted(files.children(str(tmp_path / "group"))) == [
        f"{tmp_path}/group/{name}" for name in "xyz"
    ]
