"""Containers that end while nobody looks."""

import os
import select
import signal
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns]

# Ends by itself, with a code of its own, when it is told to.
SCRIPT = "trap 'exit 6' TERM; while :; do sleep 0.02; done"
ROLES = [("daemon",), ("keeper",), ("daemon", "launcher"), ("daemon", "keeper")]


def end(pid: int) -> None:
    """Ask a process to end and wait until it has."""
    pidfd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        assert select.select([pidfd], [], [], 60)[0]
    finally:
        os.close(pidfd)


@pytest.mark.parametrize("roles", ROLES, ids="+".join)
def test_exits_meanwhile_are_known(host: Any, roles: tuple[str, ...]) -> None:
    once = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 1}}
    wishes: dict[str, dict[str, Any]] = {
        "plain": {},
        "gone": {"AutoRemove": True, "Binds": ["/anonymous"]},
        "again": {"RestartPolicy": {"Name": "always"}},
        "once": once,
    }
    for name, wish in wishes.items():
        host.run("sh", "-c", SCRIPT, name=name, host=wish)
    pids = {name: host.state(name)["Pid"] for name in wishes}
    if "keeper" in roles and "daemon" not in roles:
        # The daemon must not bring a new keeper before they have ended.
        with host.halted("daemon"):
            host.kill(*roles)
            for pid in pids.values():
                end(pid)
    else:
        host.kill(*roles)
        for pid in pids.values():
            end(pid)
        host.start()
    state = host.until_status("plain", "exited")
    if {"daemon", "keeper"} <= set(roles):
        # Nobody was left who could be told, unless init had not taken the dead process away yet.
        assert state["ExitCode"] in (6, 255)
    else:
        assert state["ExitCode"] == 6
    host.until(lambda: "gone" not in names(host), "gone is removed")
    for name in ("again", "once"):
        host.until(
            lambda name=name: host.state(name)["Pid"] not in (0, pids[name]), f"{name} runs again"
        )
    assert host.inspect("again")["RestartCount"] == 1
    assert host.leaks() == []
    for name in ("plain", "again", "once"):
        host.remove(name)
    assert host.leaks() == []


def names(host: Any) -> set[str]:
    return {one["Names"][0].lstrip("/") for one in host.get("/containers/json", all=1)}


def test_stop_and_remove_cut_short(host: Any) -> None:
    """A removal that was under way is completed, or the container is still whole."""
    host.run("sleep", "1000", name="one", host={"Binds": ["/data"]})
    with host.halted("keeper"):
        removal = host.background("DELETE", "/containers/one", force=1, v=1)
        host.until(lambda: not removal.done, "the removal waits")
        host.kill("daemon")
    host.start()
    assert host.leaks() == []
    for name in names(host):
        host.remove(name, v=1)
    assert host.leaks(volume=set()) == []
