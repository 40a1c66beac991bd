"""A pull that meets a full disk fails cleanly, and goes on when there is room again."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from boxship.errors import ExhaustedError

pytestmark = pytest.mark.root


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "host0"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_full_disk(small_disk: Path, host: Any, debian_registry: Any, tmp_path: Path) -> None:
    small = host()
    large = host()
    name = f"{debian_registry()}/app:1"
    made = large.image(name, {"data": os.urandom(2 << 20)})
    large.push(name)
    with pytest.raises(ExhaustedError, match="no space left"):
        small.pull(name)
    assert small.images.list() == ()
    assert list((small.snapshots.root / "staging").iterdir()) == []
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    assert small.pull(name).id == made.id
