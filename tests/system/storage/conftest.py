"""Archives made by hand, and overlays in both kinds of namespace."""

import io
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from boxship.storage.snapshots.store import SnapshotStore

Members = Sequence[tuple[tarfile.TarInfo, bytes]]


def make_member(name: str, data: bytes = b"", **facts: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in facts.items():
        setattr(info, key, value)
    return info, data


def make_archive(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    out.seek(0)
    return out


@pytest.fixture
def member() -> Callable[..., tuple[tarfile.TarInfo, bytes]]:
    return make_member


@pytest.fixture
def archive() -> Callable[..., io.BytesIO]:
    return make_archive


@pytest.fixture
def snapshots(tmp_path: Path) -> Iterator[SnapshotStore]:
    store = SnapshotStore(tmp_path / "snapshots")
    yield store
    store.close()


@pytest.fixture
def inside(tmp_path: Path) -> Callable[..., str]:
    """Run a shell script in its own mount namespace, as the host's root or as a container's."""

    def run(script: str, *, user_namespace: bool) -> str:
        unshare = ["unshare", "-m", *(["-U", "-r"] if user_namespace else [])]
        done = subprocess.run(
            [*unshare, "sh", "-euc", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
