"""Other engines with our runtime under them, each in network and mount namespaces of its own."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.system.api.clients import until
from tests.system.engines.engines import Docker, Engine, Podman, World

RUNTIME = str(Path(sys.executable).with_name("boxship-runtime"))
BUSYBOX = Path("/bin/busybox")


@pytest.fixture(scope="session")
def root_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system to import: busybox and who is who."""
    if not BUSYBOX.exists():
        pytest.skip("busybox-static is not installed")
    path = tmp_path_factory.mktemp("image") / "root.tar"
    applets = subprocess.run(
        [str(BUSYBOX), "--list"], capture_output=True, text=True, check=True
    ).stdout.split()
    with tarfile.open(path, "w") as archive:
        for name in ("bin", "etc", "root", "tmp"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
        archive.add(BUSYBOX.resolve(), "bin/busybox")
        for applet in applets:
            if applet != "busybox":
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(entry)
        _add_text(archive, path.with_name("passwd"), _USERS)
        _add_text(archive, path.with_name("group"), "root:x:0:\nwww-data:x:33:\n")
    return path


_USERS = "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n"


def _add_text(archive: tarfile.TarFile, path: Path, text: str) -> None:
    path.write_text(text)
    archive.add(path, f"etc/{path.name}")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], World]]:
    """Makes namespaces and directories; at the end nothing runs and no group is there."""
    made: list[World] = []

    def make(name: str) -> World:
        made.append(World(tmp_path_factory.mktemp(name), f"/bx-{name}-{os.getpid()}"))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def docker(world: Callable[[str], World], root_archive: Path) -> Iterator[Docker]:
    for name in ("dockerd", "containerd-shim-runc-v2"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    one = Docker(world("docker"), RUNTIME)
    one.begin()
    one("import", str(root_archive), "busybox")
    yield one
    one.remove_all()
    one.end()


@pytest.fixture(scope="session")
def podman(world: Callable[[str], World], root_archive: Path) -> Iterator[Podman]:
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    one = Podman(world("podman"), RUNTIME)
    one("import", str(root_archive), "localhost/busybox")
    yield one
    one.remove_all()


@pytest.fixture(params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Either; after the test's containers are removed nothing of them is left."""
    one: Engine = request.getfixturevalue(request.param)
    yield one
    one.remove_all()
    with suppress(AssertionError):
        until(lambda: not one.traces(), "what the runtime left is gone")
    assert not one.traces()
