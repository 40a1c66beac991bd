"""What becomes of containers when parts of the engine above the runtime are killed."""

from pathlib import Path

import pytest

from tests.system.engines.engines import Docker, Engine, Podman, end_parent

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.slow]


def test_its_shim_or_monitor_is_killed(engine: Engine) -> None:
    engine.start("one", "sleep", "1000")
    end_parent(engine.pid("one"))
    engine.remove_all()
    # Podman has its monitor call `delete`: without that nobody does, whatever the runtime.
    engine.delete_records()
    engine.start("one", "sleep", "1000")
    assert engine.state("one") == "running"


def test_docker_settles_a_container_whose_shim_is_killed(docker: Docker) -> None:
    docker.start("one", "sleep", "1000")
    end_parent(docker.pid("one"))
    assert docker("wait", "one") == "137"
    docker("start", "one")
    docker("exec", "one", "true")
    docker.remove_all()


def test_dockerd_and_containerd_are_killed(docker: Docker) -> None:
    docker.start("one", "sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done")
    docker.until_logged("one", "up")
    pid = docker.pid("one")
    docker.kill_daemon()
    assert Path(f"/proc/{pid}").exists()
    docker.begin()
    # Without live-restore dockerd ends what it finds.
    docker.until_status("one", "exited")
    docker("start", "one")
    docker("exec", "one", "true")
    docker.remove_all()


def test_a_pod(podman: Podman) -> None:
    infra = ("--infra-image", podman.image, "--infra-command", "sleep 1000")
    podman("pod", "create", "--name", "pod", "--network", "none", *infra)
    podman.start("one", "sleep", "1000", flags=("--pod=pod",))
    script = "hostname; readlink /proc/self/ns/ipc"
    name, link = podman.box("sh", "-c", script, flags=("--pod=pod",)).split()
    assert name == "pod"
    assert link == str(Path(f"/proc/{podman.pid('one')}/ns/ipc").readlink())
    podman("pod", "stop", "--time", "0", "pod")
    podman("pod", "rm", "--force", "pod")


@pytest.mark.parametrize("flags", [("--uidmap", "0:100000:65536"), ("--userns", "host")])
def test_user_namespaces(podman: Podman, flags: tuple[str, ...]) -> None:
    line = podman.box("cat", "/proc/self/uid_map", flags=flags).split()
    assert line == (["0", "100000", "65536"] if "--uidmap" in flags else ["0", "0", "4294967295"])
    assert podman.box("sh", "-c", "touch /x && stat -c %u /x", flags=flags) == "0"
