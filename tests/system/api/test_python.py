"""`import boxship`: the engine for Python programs."""

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import boxship
from boxship.client.connection import NoEngineError
from boxship.errors import ConflictError, InternalError, NotFoundError
from boxship.wire.container import CreateRequest, HostConfig
from boxship.wire.network import NetworkCreateRequest

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns, pytest.mark.slow]

Namer = Callable[[], str]
QUIET = HostConfig(network_mode="none")


@pytest.fixture
def engine(address: str) -> boxship.Client:
    return boxship.connect(address)


def test_the_environment_names_the_engine(
    address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("BOXSHIP_HOST", raising=False)
    monkeypatch.setenv("DOCKER_HOST", address)
    assert boxship.connect().address == address
    monkeypatch.setenv("BOXSHIP_HOST", f"unix://{tmp_path}/nobody")
    with pytest.raises(NoEngineError, match="Cannot connect to the engine"):
        boxship.connect()


def test_a_command_and_what_came_of_it(engine: boxship.Client) -> None:
    script = "echo $A; echo no >&2; exit 3"
    done = engine.containers.run("busybox", "sh", "-c", script, env={"A": "b"}, host=QUIET)
    assert done == (3, b"b\n", b"no\n")


def test_a_container_s_life(engine: boxship.Client, name: Namer) -> None:
    one = name()
    request = CreateRequest(image="busybox", cmd=["sleep", "100"], host_config=QUIET)
    made = engine.containers.create(request, name=one)
    with pytest.raises(ConflictError, match="already in use"):
        engine.containers.create(request, name=one)
    engine.containers.start(one)
    assert engine.containers.get(one).state.running
    assert made in [item.id for item in engine.containers.list(filters={"name": [one]})]
    assert engine.containers.exec(one, "sh", "-c", "echo hi; exit 4") == (4, b"hi\n", b"")
    assert engine.containers.top(one).processes
    engine.containers.stop(one, grace=0)
    assert engine.containers.wait(one) == 137
    engine.containers.remove(one)
    with pytest.raises(NotFoundError, match=f"No such container: {one}"):
        engine.containers.get(one)


def test_events_up_to_now(engine: boxship.Client, name: Namer) -> None:
    one = name()
    engine.containers.create(CreateRequest(image="busybox"), name=one)
    event = next(engine.events(since=1, filters={"container": [one]}))
    assert (event.type, event.action) == ("container", "create")


def test_networks_and_volumes(engine: boxship.Client, name: Namer) -> None:
    network, volume = f"net-{name()}", f"vol-{name()}"
    engine.networks.create(NetworkCreateRequest(name=network))
    made = engine.containers.create(CreateRequest(image="busybox"), name=name())
    engine.networks.connect(network, made, "alias")
    networks = engine.containers.get(made).network_settings.networks
    assert networks is not None
    assert networks[network].aliases == ["alias"]
    engine.networks.disconnect(network, made)
    engine.networks.remove(network)
    assert engine.volumes.create(volume, labels={"a": "b"}).labels == {"a": "b"}
    assert [one.name for one in engine.volumes.list(filters={"name": [volume]})] == [volume]
    engine.volumes.remove(volume)


def test_images(engine: boxship.Client, name: Namer) -> None:
    tag = f"{name()}:1"
    engine.images.tag("busybox", tag)
    archive = list(engine.images.save(tag))
    engine.images.remove(tag)
    told: list[str] = []
    engine.images.load(archive, progress=lambda message: told.append(message.get("stream", "")))
    assert f"Loaded image: {tag}\n" in told
    assert engine.images.get(tag).id == engine.images.get("busybox").id
    engine.images.remove(tag)
    with pytest.raises(InternalError, match="truncated or damaged"):
        engine.images.load([b"no archive"])


def _context(dockerfile: str) -> Iterator[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(dockerfile)
        archive.addfile(info, io.BytesIO(dockerfile.encode()))
    yield buffer.getvalue()


def test_build(engine: boxship.Client, name: Namer) -> None:
    tag = name()
    text = "FROM busybox\nARG A\nRUN echo $A > /file\n"
    made = engine.images.build(_context(text), tag=tag, args={"A": "built"})
    assert made == engine.images.get(tag).id
    assert engine.containers.run(tag, "cat", "/file", host=QUIET).output == b"built\n"
    engine.images.remove(tag)
    with pytest.raises(InternalError, match="returned a non-zero code: 5"):
        engine.images.build(_context("FROM busybox\nRUN exit 5\n"))
