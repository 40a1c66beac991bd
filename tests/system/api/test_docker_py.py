"""docker-py against the daemon, as its users write."""

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

docker = pytest.importorskip("docker")

pytestmark = [
    pytest.mark.root,
    pytest.mark.overlayfs,
    pytest.mark.netns,
    pytest.mark.slow,
    # requests warns of sockets that docker-py takes over from it.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

Namer = Callable[[], str]


@pytest.fixture
def engine(address: str) -> Iterator[Any]:
    one = docker.DockerClient(base_url=address, version="auto", timeout=20)
    yield one
    one.close()
    del one
    # What docker-py leaves open must be collected here, where its warnings are expected.
    gc.collect()


def test_the_version_is_negotiated(engine: Any) -> None:
    assert engine.api.api_version == "1.51"
    assert engine.ping()
    assert engine.info()["Swarm"]["LocalNodeState"] == "inactive"


def test_run_and_its_errors(engine: Any) -> None:
    assert engine.containers.run("busybox", "echo hi", remove=True, network_mode="none") == b"hi\n"
    with pytest.raises(docker.errors.ContainerError) as failed:
        engine.containers.run("busybox", "sh -c 'echo no >&2; exit 3'", remove=True)
    assert failed.value.exit_status == 3
    assert failed.value.stderr == b"no\n"
    with pytest.raises(docker.errors.ImageNotFound):
        engine.api.create_container("nosuch", "true")
    with pytest.raises(docker.errors.NotFound):
        engine.containers.get("nosuch")


def test_a_container_s_life(engine: Any, name: Namer) -> None:
    container = engine.containers.run(
        "busybox", "sleep 100", name=name(), detach=True, labels={"a": "b"}, network_mode="none"
    )
    assert container.status == "created"
    container.reload()
    assert container.status == "running"
    assert container.image.tags == ["busybox:latest"]
    assert container in engine.containers.list(filters={"label": "a=b"})
    assert container.top()["Processes"]
    container.kill()
    assert container.wait()["StatusCode"] == 137
    container.remove()
    with pytest.raises(docker.errors.NotFound):
        container.reload()


def test_logs_follow(engine: Any, name: Namer) -> None:
    container = engine.containers.run(
        "busybox", "sh -c 'for n in 1 2 3; do echo $n; done'", name=name(), detach=True
    )
    assert b"".join(container.logs(stream=True, follow=True)) == b"1\n2\n3\n"


def test_exec_loses_nothing_however_fast_it_is(engine: Any, name: Namer) -> None:
    container = engine.containers.run("busybox", "sleep 100", name=name(), detach=True)
    for _ in range(20):
        assert container.exec_run("echo hi") == (0, b"hi\n")
    assert container.exec_run("sh -c 'echo o; echo e >&2'", demux=True) == (0, (b"o\n", b"e\n"))
    assert container.exec_run("echo hi", tty=True) == (0, b"hi\r\n")
    assert b"X=Y\n" in container.exec_run("env", environment={"X": "Y"})[1]
    code, output = container.exec_run("nosuch")
    assert code == 127
    assert b"executable file not found" in output


def test_attach_to_a_socket(engine: Any, name: Namer) -> None:
    container = engine.containers.create("busybox", "cat", name=name(), stdin_open=True)
    attached = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    attached._sock.sendall(b"hi\n")
    assert attached._sock.recv(11) == b"\x01\0\0\0\0\0\0\x03hi\n"
    attached._sock.close()
    container.kill()


def test_events(engine: Any, name: Namer) -> None:
    one = name()
    events = engine.events(decode=True, filters={"container": one})
    engine.containers.run("busybox", "true", name=one, remove=True, network_mode="none")
    seen = []
    for event in events:
        seen.append(event["Action"])
        if event["Action"] == "destroy":
            break
    events.close()
    assert [action for action in seen if action != "attach"] == [
        *("create", "start", "die", "destroy")
    ]


def test_networks_and_volumes(engine: Any, name: Namer) -> None:
    network = engine.networks.create(f"net-{name()}", labels={"a": "b"})
    volume = engine.volumes.create(f"vol-{name()}")
    container = engine.containers.run(
        "busybox",
        "sleep 100",
        name=name(),
        detach=True,
        network=network.name,
        volumes={volume.name: {"bind": "/data", "mode": "rw"}},
    )
    network.reload()
    assert network.containers == [container]
    container.reload()
    assert container.attrs["Mounts"][0]["Name"] == volume.name
    network.disconnect(container)
    with pytest.raises(docker.errors.APIError, match="volume is in use"):
        volume.remove()
    container.remove(force=True)
    network.remove()
    volume.remove()


def test_build(engine: Any, name: Namer, tmp_path: Any) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo built > /file\n")
    tag = name()
    image, log = engine.images.build(path=str(tmp_path), tag=tag)
    assert f"{tag}:latest" in image.tags
    assert any("Successfully built" in line.get("stream", "") for line in log)
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN exit 5\n")
    with pytest.raises(docker.errors.BuildError, match="returned a non-zero code: 5"):
        engine.images.build(path=str(tmp_path))
    engine.images.remove(tag)


def test_save_and_load(engine: Any) -> None:
    image = engine.images.get("busybox")
    archive = b"".join(image.save(named=True))
    assert [one.id for one in engine.images.load(archive)] == [image.id]
    with pytest.raises(docker.errors.ImageLoadError):
        engine.images.load(b"no archive")
