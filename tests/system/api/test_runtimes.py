"""External runtimes as clients see them: our command line, docker's, and plain HTTP."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.api.clients import Client, until
from tests.system.crash.host import Host, Refused

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns, pytest.mark.slow]

Namer = Callable[[], str]
ALONE = ("--network", "none")
LOOP = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done"


@pytest.fixture(params=["runc", "crun"])
def runtime(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


def test_a_container_at_a_terminal(client: Client, runtime: str) -> None:
    words = ("--rm", "-it", "--runtime", runtime, *ALONE, "busybox", "sh")
    terminal = client.terminal("run", *words, size=(30, 90))
    terminal.expect("# ")
    terminal.type("tty; while [ \"$(stty size)\" != '30 90' ]; do :; done; echo sized\n")
    terminal.expect("/dev/pts/0")
    terminal.expect("\nsized")
    terminal.type("exit 5\n")
    assert terminal.end() == 5


def test_a_container_s_life(client: Client, runtime: str, name: Namer) -> None:
    one = name()
    client("run", "-d", "--runtime", runtime, "--name", one, *ALONE, "busybox", "sh", "-c", LOOP)
    assert client("inspect", "-f", "{{.HostConfig.Runtime}}", one) == runtime
    until(lambda: client("logs", one) == "up", "output")
    assert client("exec", one, "echo", "hi") == "hi"
    client("exec", one, "sh", "-c", "exit 4", code=4)
    terminal = client.terminal("exec", "-it", one, "sh")
    terminal.expect("# ")
    terminal.type("exit 6\n")
    assert terminal.end() == 6
    client("pause", one)
    assert client("inspect", "-f", "{{.State.Status}}", one) == "paused"
    client("unpause", one)
    client("stop", one)
    assert client("inspect", "-f", "{{.State.ExitCode}}", one) == "3"
    assert client("logs", one).split() == ["up", "bye"]
    client("restart", one)
    client("rm", "-f", one)


def test_a_runtime_that_is_unknown(client: Client, host: Host) -> None:
    text = "unknown or invalid runtime name: nosuch"
    words = ("run", "--rm", "--runtime", "nosuch", *ALONE, "busybox", "true")
    assert text in client.fails(*words, code=125)
    with pytest.raises(Refused, match=text) as caught:
        host.create("true", host={"Runtime": "nosuch"})
    assert caught.value.status == 400


def test_info_names_them(host: Host, runtime: str) -> None:
    info = host.get("/info")
    assert info["DefaultRuntime"] == "boxship"
    assert info["Runtimes"]["boxship"] == {"path": "boxship-runtime"}
    assert info["Runtimes"][runtime] == {"path": shutil.which(runtime)}


def test_runtimes_of_the_configuration_file(tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("boxship-runtime"))
    mine = {"path": program, "runtimeArgs": ["--cgroup-manager", "cgroupfs"]}
    document = {"runtimes": {"mine": mine}, "default-runtime": "mine"}
    (tmp_path / "daemon.json").write_text(json.dumps(document))
    one = Host(tmp_path / "host")
    try:
        one.start("--config-file", str(tmp_path / "daemon.json"))
        info = one.get("/info")
        assert info["DefaultRuntime"] == "mine"
        assert info["Runtimes"]["mine"] == mine
        assert one.cli("image", "bootstrap", "busybox").returncode == 0
        made = one.run("sh", "-c", "echo ran; exit 3")
        assert one.until_status(made, "exited")["ExitCode"] == 3
        assert one.inspect(made)["HostConfig"]["Runtime"] == "mine"
        assert one.output(made) == "ran\n"
        one.remove(made)
    finally:
        one.close()
