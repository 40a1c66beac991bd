"""kill -9 while a container is being made and started."""

from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns]

PORT = 18081
WISH = {
    "NetworkMode": "bridge",
    "PortBindings": {"80/tcp": [{"HostPort": str(PORT)}]},
    "Binds": ["/data"],
}
ROLES = [
    ("daemon",),
    ("keeper",),
    ("launcher",),
    ("daemon", "launcher"),
    ("keeper", "launcher"),
    ("daemon", "keeper"),
    ("daemon", "keeper", "launcher"),
]


def create(host: Any, name: str = "one", **wish: Any) -> str:
    made: str = host.create(
        *("sh", "-c", "echo up; exec sleep 1000"),
        name=name,
        ExposedPorts={"80/tcp": {}},
        host={**WISH, **wish},
    )
    return made


def check(host: Any, task: Any) -> None:
    """The container runs, or is as it was before; it can be started, stopped and removed."""
    host.one("keeper")
    outcome = task.outcome()
    state = host.state("one")
    if outcome == b"":
        assert state["Running"]
    assert state["Status"] in ("created", "running")
    assert host.leaks() == []
    if not state["Running"]:
        host.post("/containers/one/start")
    host.until_output("one", "up")
    assert host.execute("one", "echo", "x") == "x\n"
    assert host.leaks() == []
    host.remove("one", v=1)
    assert host.leaks() == []


@pytest.mark.parametrize("roles", ROLES, ids="+".join)
@pytest.mark.parametrize("waiting_for", ["keeper", "launcher"])
def test_before_the_clone(host: Any, waiting_for: str, roles: tuple[str, ...]) -> None:
    create(host)
    with host.halted(waiting_for):
        task = host.background("POST", "/containers/one/start")
        host.until(lambda: list(host.exec.glob("bundles/*/config.json")), "the bundle")
        host.get("/_ping")
        host.kill(*roles)
    if "daemon" in roles:
        host.start()
    check(host, task)


@pytest.mark.parametrize("roles", ROLES, ids="+".join)
def test_while_the_root_is_built(host: Any, roles: tuple[str, ...]) -> None:
    create(host)
    with host.frozen():
        task = host.background("POST", "/containers/one/start")
        host.until(lambda: host.find("container"), "the container's process")
        host.until(
            lambda: len(host.census.take()["link"]) == 2 or roles == ("launcher",), "its network"
        )
        host.kill(*roles)
    if "daemon" in roles:
        host.start()
    check(host, task)


@pytest.mark.slow
@pytest.mark.parametrize("roles", ROLES, ids="+".join)
def test_at_any_moment(host: Any, roles: tuple[str, ...]) -> None:
    """The kill falls somewhere; what matters is that it falls in many places."""
    import time  # noqa: PLC0415

    for step in range(4):
        create(host)
        task = host.background("POST", "/containers/one/start")
        time.sleep(step * 0.012)
        host.kill(*roles)
        if "daemon" in roles:
            host.start()
        check(host, task)


def await_snapshot(host: Any, task: Any) -> None:
    host.until(lambda: task.done or list(host.data.glob("snapshots/active/*")), "a snapshot")


def test_in_a_create(host: Any) -> None:
    """Nothing is left of a container whose create was cut short."""
    for step in range(6):
        task = host.background(
            "POST", "/containers/create", {"Image": "busybox", "HostConfig": {"Binds": ["/data"]}}
        )
        if step:
            await_snapshot(host, task)
        host.kill("daemon")
        task.outcome()
        host.start()
        assert host.leaks() == []
        for one in host.containers():
            host.remove(one["Id"], v=1)
        assert host.leaks() == []
