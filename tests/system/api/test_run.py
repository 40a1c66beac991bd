"""Containers by command line: ours, and Docker's own clients unchanged."""

import re
import signal
from collections.abc import Callable

import pytest

from tests.system.api.clients import Client, until

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns, pytest.mark.slow]

Namer = Callable[[], str]
RUN = ("run", "--rm", "--network", "none")


def test_output_and_error_output_stay_apart(client: Client) -> None:
    done = client.run(*RUN, "busybox", "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


@pytest.mark.parametrize("size", [0, 6, 3_000_000])
def test_input_ends_when_the_client_s_does(client: Client, size: int) -> None:
    assert client(*RUN, "-i", "busybox", "wc", "-c", input="x" * size) == str(size)


def test_large_output_arrives_whole(client: Client) -> None:
    text = client(*RUN, "busybox", "sh", "-c", "yes | head -c 4000000")
    assert len(text) == 4_000_000 - 1


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 42"), 42),
        (("sh", "-c", "(sleep 100) & kill -9 $!; wait $!"), 137),
        (("nosuch",), 127),
        (("/etc/passwd",), 126),
    ],
)
def test_exit_codes(client: Client, command: tuple[str, ...], code: int) -> None:
    assert client.run(*RUN, "busybox", *command).returncode == code


@pytest.mark.parametrize(
    "words",
    [
        ("--nosuchflag", "busybox"),
        ("-w", "relative", "busybox"),
        ("--network", "nosuch", "busybox"),
    ],
)
def test_a_container_that_cannot_be_made_is_125(client: Client, words: tuple[str, ...]) -> None:
    client.fails("run", "--rm", *words, "true", code=125)


def test_signals_reach_the_process(client: Client, name: Namer) -> None:
    script = 'trap "echo got; exit 3" TERM; echo up; while :; do sleep 0.01; done'
    process = client.begin(*RUN, "--name", name(), "busybox", "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert (output, process.returncode) == ("got\n", 3)


def test_a_detached_container_and_its_log(client: Client, name: Namer) -> None:
    one = name()
    script = "for n in 1 2 3; do echo line $n; done"
    made = client("run", "-d", "--name", one, "busybox", "sh", "-c", script)
    assert re.fullmatch("[0-9a-f]{64}", made)
    assert client("wait", one) == "0"
    assert client("logs", one) == "line 1\nline 2\nline 3"
    assert client("logs", "--tail", "1", one) == "line 3"
    assert client("logs", "--since", "10m", "--tail", "1", one) == "line 3"
    assert client("logs", "--until", "2020-01-01", one) == ""
    stamp, _, text = client("logs", "-t", "--tail", "1", one).partition(" ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", stamp)
    assert text == "line 3"
    assert client("start", one) == one
    client("wait", one)
    assert client("logs", one).count("line 1") == 2
    assert client("rm", one) == one


def test_a_followed_log_ends_with_the_container(client: Client, name: Namer) -> None:
    one = name()
    client("run", "-d", "--name", one, "busybox", "sh", "-c", "echo a; sleep 0.1; echo b")
    assert client("logs", "-f", one) == "a\nb"


def test_start_attached(client: Client, name: Namer) -> None:
    one = name()
    client("create", "--name", one, "busybox", "sh", "-c", "echo hi; exit 4")
    assert client("start", "-a", one, code=4) == "hi"


def test_listing_and_inspecting(client: Client, name: Namer) -> None:
    one = name()
    client("run", "-d", "--name", one, "--label", f"is={one}", "busybox", "sleep", "100")
    fields = "{{.Names}}|{{.Image}}|{{.Command}}|{{.State}}"
    row = client("ps", "--filter", f"label=is={one}", "--format", fields)
    assert row == f'{one}|busybox|"sleep 100"|running'
    assert client("ps", "-q", "--filter", f"name=^{one}$") in client(
        "inspect", "-f", "{{.Id}}", one
    )
    assert client("inspect", "-f", "{{.State.Status}} {{.Path}} {{.Args}}", one) == (
        "running sleep [100]"
    )
    assert client("stop", "-t", "0", one) == one
    assert client("inspect", "-f", "{{.State.ExitCode}}", one) == "137"
    assert client("ps", "-aq", "--filter", "status=exited", "--filter", f"name={one}") != ""


def test_removing(client: Client, name: Namer) -> None:
    one = name()
    client("run", "-d", "--name", one, "busybox", "sleep", "100")
    assert "You cannot remove a running container" in client.fails("rm", one)
    assert client("kill", one) == one
    assert "is not running" in client.fails("kill", one)
    assert client("rm", one) == one
    assert f"No such container: {one}" in client.fails("rm", one)
    assert f"No such container: {one}" in client.fails("rm", "-f", one, code=0)


def test_a_name_in_use(client: Client, name: Namer) -> None:
    one = name()
    client("create", "--name", one, "busybox")
    complaint = client.fails("create", "--name", one, "busybox")
    assert f'The container name "/{one}" is already in use by container' in complaint


def test_exec(client: Client, name: Namer) -> None:
    one = name()
    client("run", "-d", "--name", one, "-e", "A=1", "busybox", "sleep", "100")
    assert client("exec", "-e", "B=2", one, "sh", "-c", "echo $A$B") == "12"
    assert client("exec", "-u", "1:1", "-w", "/bin", one, "sh", "-c", "id -u; pwd") == "1\n/bin"
    assert client("exec", "-i", one, "cat", input="in") == "in"
    assert client.run("exec", one, "sh", "-c", "exit 7").returncode == 7
    failed = client.run("exec", one, "nosuch")
    assert failed.returncode == 127
    assert "executable file not found in $PATH" in failed.stdout + failed.stderr
    assert client("exec", "-d", one, "touch", "/made") == ""
    until(lambda: client.run("exec", one, "ls", "/made").returncode == 0, "the file")
    client("kill", one)
    assert "is not running" in client.fails("exec", one, "true")


def test_events_in_the_order_clients_rely_on(client: Client, name: Namer) -> None:
    one, two = name(), name()
    client("run", "--name", one, "--network", "none", "busybox", "true")
    # Its process ignores SIGTERM, so that each stop needs two signals.
    client("run", "-d", "--name", two, "--network", "none", "busybox", "sleep", "100")
    client("restart", "-t", "0", two)
    client("stop", "-t", "0", two)
    client("start", two)
    client("kill", two)
    client("rm", one, two)
    assert _actions(client, one) == ["create", "attach", "start", "die", "destroy"]
    assert _actions(client, two) == [
        *("create", "start"),
        *("kill", "kill", "die", "stop", "start", "restart"),
        *("kill", "kill", "die", "stop"),
        *("start", "kill", "die", "destroy"),
    ]


def _actions(client: Client, container: str) -> list[str]:
    """What happened to a container, up to its removal."""
    process = client.begin(
        *("events", "--since", "10m", "--filter", f"container={container}"),
        *("--filter", "type=container", "--format", "{{.Action}}"),
    )
    assert process.stdout is not None
    with process:
        actions = []
        while "destroy" not in actions:
            actions.append(process.stdout.readline().rstrip("\n"))
            assert actions[-1], process.stderr
        process.kill()
    return actions


def test_published_ports(client: Client, name: Namer, host: object) -> None:
    one = name()
    client(
        "run", "-d", "--name", one, "-p", "127.0.0.1:0:80", "-p", "18080:81/udp", "busybox", "top"
    )
    assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", client("port", one, "80"))
    assert "0.0.0.0:18080" in client("port", one, "81/udp")
    two = client.fails("run", "--rm", "-p", "18080:81/udp", "busybox", "true", code=125)
    assert "Bind for 0.0.0.0:18080 failed: port is already allocated" in two


def test_names_on_a_network(client: Client, name: Namer) -> None:
    network = f"net-{name()}"
    client("network", "create", network)
    one, two = name(), name()
    client("run", "-d", "--name", one, "--network", network, "busybox", "top")
    client("run", "-d", "--name", two, "busybox", "top")
    assert client.run("exec", one, "nslookup", two).returncode != 0
    client("network", "connect", "--alias", "other", network, two)
    assert "1 packets received" in client("exec", one, "ping", "-c", "1", "-w", "5", "other")
    assert f"network {network} id" in client.fails("network", "rm", network)
    client("network", "disconnect", network, two)
    client("rm", "-f", one, two)
    assert client("network", "rm", network) == network


def test_volumes(client: Client, name: Namer) -> None:
    volume = f"vol-{name()}"
    assert client("volume", "create", volume) == volume
    client(*RUN, "-v", f"{volume}:/data", "busybox", "sh", "-c", "echo kept > /data/file")
    assert client(*RUN, "-v", f"{volume}:/data:ro", "busybox", "cat", "/data/file") == "kept"
    assert client("volume", "ls", "-q", "--filter", f"name={volume}") == volume
    assert client("volume", "inspect", "-f", "{{.Driver}}", volume) == "local"
    assert client("volume", "rm", volume) == volume
    assert "no such volume" in client.fails("volume", "rm", volume).lower()
