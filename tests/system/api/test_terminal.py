"""Clients at a terminal."""

import itertools
from collections.abc import Callable

import pytest

from tests.system.api.clients import DETACH, Client

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns, pytest.mark.slow]

Namer = Callable[[], str]
SHELL = ("--network", "none", "busybox", "sh")


def test_a_shell_has_a_terminal_of_the_client_s_size(client: Client) -> None:
    terminal = client.terminal("run", "--rm", "-it", *SHELL, size=(30, 90))
    terminal.expect("# ")
    terminal.type("tty; stty size\n")
    terminal.expect("/dev/pts/0")
    terminal.expect("30 90")
    terminal.type("exit 5\n")
    assert terminal.end() == 5


def test_a_resize_reaches_the_process(client: Client) -> None:
    script = "trap 'stty size' WINCH; trap exit INT; echo ready; while :; do sleep 0.01; done"
    terminal = client.terminal("run", "--rm", "-it", *SHELL, "-c", script)
    terminal.expect("ready")
    # Docker's clients listen for resizes only some time after the start.
    columns = itertools.cycle((120, 121))
    terminal.expect("40 12", again=lambda: terminal.resize(40, next(columns)))
    terminal.type(b"\x03")
    terminal.end()


def test_control_c_interrupts(client: Client) -> None:
    script = "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.01; done"
    terminal = client.terminal("run", "--rm", "-it", *SHELL, "-c", script)
    terminal.expect("ready")
    terminal.type(b"\x03")
    terminal.expect("caught")
    assert terminal.end() == 7


@pytest.mark.parametrize("keys", ["", "ctrl-a,x"])
def test_detach_and_come_back(client: Client, name: Namer, keys: str) -> None:
    one = name()
    flags = ("--detach-keys", keys) if keys else ()
    terminal = client.terminal("run", "-it", "--name", one, *flags, *SHELL)
    terminal.expect("# ")
    terminal.type(b"\x01x" if keys else DETACH)
    assert terminal.end() == 0
    assert client("inspect", "-f", "{{.State.Running}}", one) == "true"
    terminal = client.terminal("attach", one)
    terminal.type("echo b'a'ck\n")
    terminal.expect("back")
    terminal.type("exit 9\n")
    assert terminal.end() == 9


def test_exec_with_a_terminal(client: Client, name: Namer) -> None:
    one = name()
    client("run", "-d", "--name", one, "busybox", "sleep", "100")
    terminal = client.terminal("exec", "-it", one, "sh")
    terminal.expect("# ")
    terminal.type("tty\n")
    terminal.expect("/dev/pts/0")
    terminal.type("exit 3\n")
    assert terminal.end() == 3
    terminal = client.terminal("exec", "-it", one, "sh")
    terminal.expect("# ")
    terminal.type(DETACH)
    terminal.end()
    assert client("exec", one, "echo", "alive") == "alive"


def test_output_to_a_terminal_without_input(client: Client) -> None:
    terminal = client.terminal("run", "--rm", "-t", *SHELL, "-c", "tty")
    terminal.expect("/dev/pts/0")
    assert terminal.end() == 0
