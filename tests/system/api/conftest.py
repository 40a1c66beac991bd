"""One daemon for all tests here, and the clients that are driven against it."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.api.clients import DEBIAN_DOCKER, OURS, Client
from tests.system.crash.host import Host


def _programs() -> list[str]:
    """Ours, Debian's docker, and a newer docker where the PATH has one."""
    newer = shutil.which("docker") or DEBIAN_DOCKER
    dockers = dict.fromkeys(path for path in (DEBIAN_DOCKER, newer) if Path(path).exists())
    return [OURS, *dockers]


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    one = Host(tmp_path_factory.mktemp("api") / "host")
    one.start()
    made = one.cli("image", "bootstrap", "busybox")
    assert made.returncode == 0, made.stderr
    yield one
    one.close()


@pytest.fixture(scope="session")
def address(host: Host) -> str:
    return f"unix://{host.exec}/boxship.sock"


@pytest.fixture(params=_programs(), ids=lambda path: path.lstrip("/").replace("/", "-"))
def client(request: pytest.FixtureRequest, address: str, tmp_path: Path) -> Client:
    return Client(request.param, address, tmp_path)


@pytest.fixture
def boxship(address: str, tmp_path: Path) -> Client:
    return Client(OURS, address, tmp_path)


_numbers = itertools.count(1)


@pytest.fixture
def name(host: Host) -> Iterator[Callable[[], str]]:
    """Make names for containers, which are removed after the test."""
    names: list[str] = []

    def make() -> str:
        names.append(f"box{next(_numbers)}")
        return names[-1]

    yield make
    host.cli("rm", "--force", "--volumes", *names)
