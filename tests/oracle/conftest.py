"""References: Docker's own command line, and Docker's own daemon where it is installed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.api.clients import DEBIAN_DOCKER, OURS, Client, until
from tests.system.crash.host import Host


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Our daemon, in a network namespace where nobody else answers."""
    if not Path(DEBIAN_DOCKER).exists():
        pytest.skip("needs Debian's docker.io")
    one = Host(tmp_path_factory.mktemp("oracle") / "host")
    one.start()
    made = one.cli("image", "bootstrap", "busybox")
    assert made.returncode == 0, made.stderr
    yield one
    one.close()


@pytest.fixture(scope="session")
def address(host: Host) -> str:
    return f"unix://{host.exec}/boxship.sock"


@pytest.fixture
def ours(address: str, tmp_path: Path) -> Client:
    """Our command line to our daemon."""
    return Client(OURS, address, tmp_path)


@pytest.fixture
def docker(address: str, tmp_path: Path) -> Client:
    """Docker's command line to our daemon."""
    return Client(DEBIAN_DOCKER, address, tmp_path)


@pytest.fixture(scope="session")
def dockerd(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a dockerd of our own, with the same image in it."""
    program = shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("needs dockerd")
    root = tmp_path_factory.mktemp("dockerd")
    address = f"unix://{root}/docker.sock"
    network = Host(root / "network")
    with (root / "log").open("wb") as log:
        process = network.inside(
            lambda: subprocess.Popen(
                [
                    *(program, "--data-root", root / "data", "--exec-root", root / "exec"),
                    *("-H", address, "--pidfile", root / "pid"),
                ],
                stdout=log,
                stderr=log,
            )
        )
    client = Client(DEBIAN_DOCKER, address, root)
    try:
        until(
            lambda: process.poll() is not None or client.run("version").returncode == 0, "dockerd"
        )
        if process.poll() is not None:
            words = (root / "log").read_text().splitlines()[-1:]
            pytest.skip(f"dockerd does not run here: {words}")
        saved = root / "busybox.tar"
        assert host.cli("save", "-o", str(saved), "busybox").returncode == 0
        client("load", "-i", str(saved))
        yield address
    finally:
        process.terminate()
        process.wait(20)
        network.close()


@pytest.fixture
def reference(dockerd: str, tmp_path: Path) -> Client:
    """Docker's command line to Docker's daemon."""
    return Client(DEBIAN_DOCKER, dockerd, tmp_path)
