"""One daemon that is asked for what it must refuse."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_spec = importlib.util.spec_from_file_location(
    "crash_conftest", Path(__file__).parents[1] / "crash" / "conftest.py"
)
assert _spec is not None
assert _spec.loader is not None
_crash = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_crash)

template = _crash.template
empty_host = _crash.empty_host
Refused = _crash.host_module.Refused
DaemonFailed = _crash.host_module.DaemonFailed


@pytest.fixture(scope="module")
def host(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A host whose daemon serves all tests of a module, with the busybox image.

    Two containers are on it: `taken` runs, with a published port, a volume and a network of its
    own; `idle` does not.
    """
    one = _crash.Host(tmp_path_factory.mktemp("refusals") / "h", template)
    try:
        one.start()
        one.post("/networks/create", {"Name": "own"})
        one.run(
            *("sleep", "1000"),
            name="taken",
            ExposedPorts={"80/tcp": {}},
            host={
                "NetworkMode": "own",
                "Binds": ["vol:/v"],
                "PortBindings": {"80/tcp": [{"HostPort": "18080"}]},
            },
        )
        one.create("true", name="idle")
        yield one
        assert one.state("taken")["Running"]
        assert "Traceback" not in one.log.read_text()
    finally:
        one.close()


@pytest.fixture
def unchanged(host: Any) -> Iterator[None]:
    """Whatever the test does, nothing is left of it."""
    before = host.census.take()
    yield

    def differences() -> dict[str, Any]:
        now = host.census.take()
        return {kind: now[kind] ^ names for kind, names in before.items() if now[kind] != names}

    try:
        host.until(lambda: not differences(), "as before", patience=5.0)
    except AssertionError:
        raise AssertionError(differences()) from None


@pytest.fixture
def refused() -> Any:
    """The exception of an answer that is an error."""
    return Refused


@pytest.fixture
def daemon_failed() -> Any:
    """The exception of a daemon that ends before it serves."""
    return DaemonFailed
