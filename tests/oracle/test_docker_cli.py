"""The same commands by Docker and by us: the same words, output and exit codes."""

import re
from collections.abc import Callable

import pytest

from tests.system.api.clients import Client

pytestmark = [
    pytest.mark.root,
    pytest.mark.overlayfs,
    pytest.mark.netns,
    pytest.mark.slow,
    pytest.mark.oracle("docker CLI"),
]

# What may differ from one engine to the next, and from one second to the next.
_BLUR = (
    (re.compile(r"\b(sha256:)?[0-9a-f]{64}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "SHORT"),
    (re.compile(r"(Less than a|About an?|\d+) (second|minute|hour)s?"), "SPAN"),
    # Only clients before API 1.44 are told.
    (re.compile(r',\s*"VirtualSize": \d+'), ""),
    (re.compile(r"\b10\.99\.0\.\d+\b"), "ADDRESS"),
    (re.compile(r" +"), " "),
    (re.compile(r"(?m) +$"), ""),
)


def blurred(text: str) -> str:
    for pattern, word in _BLUR:
        text = pattern.sub(word, text)
    return text


@pytest.fixture(scope="module", autouse=True)
def _things(host: object, address: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Something to list, in our daemon."""
    docker = Client("/usr/bin/docker", address, tmp_path_factory.mktemp("config"))
    docker("network", "create", "--label", "a=b", "box-net")
    docker("volume", "create", "--label", "a=b", "box-vol")
    docker("tag", "busybox", "box/other:v1")
    docker("run", "-d", "--name", "box-up", "-p", "127.0.0.1:18081:80", "busybox", "top")
    docker(
        "run", "--name", "box-gone", "--network", "none", "busybox", "sh", "-c", "exit 3", code=3
    )
    docker(
        "create",
        "--name",
        "box-new",
        "-v",
        "box-vol:/data",
        "busybox",
        "a long command line of words",
    )
    docker(
        "run",
        "-d",
        "--name",
        "box-said",
        "busybox",
        "sh",
        "-c",
        "echo one; echo two >&2; echo three",
    )
    docker("wait", "box-said")


@pytest.mark.parametrize(
    "command",
    [
        "ps",
        "ps -a",
        "ps -a --no-trunc",
        "ps -aq",
        "ps -a -n 2",
        "ps -l",
        "ps -a --format {{.Names}}:{{.Status}}:{{.Ports}}:{{.Mounts}}:{{.Networks}}",
        "ps -a --filter status=exited --filter name=box-gone",
        "ps -a --filter exited=3",
        "images busybox",
        "images -q",
        "images --no-trunc box/other",
        "images --digests busybox",
        "images box/other",
        "image ls --format {{.Repository}}|{{.Tag}}|{{.Size}} busybox",
        "history busybox",
        "history --no-trunc -q busybox",
        "network ls",
        "network ls -q --no-trunc",
        "network ls --filter driver=bridge --format {{.Name}}",
        "volume ls",
        "volume ls -q",
        "volume ls --filter label=a=b",
        "logs box-said",
        "logs --tail 1 box-said",
        "logs -t --tail 1 box-said",
        "port box-up",
        "port box-up 80/tcp",
        "port box-new",
        "inspect box-up",
        "inspect box-new box-gone",
        "inspect busybox",
        "inspect box-net",
        "inspect box-vol",
        "inspect -f {{.State.Status}}{{.Id}} box-up",
        "inspect -f {{json_.HostConfig.PortBindings}} box-up",
        "inspect --type image busybox",
        "inspect nosuch",
        "wait box-gone",
        "top box-up",
        "version --format {{.Server.APIVersion}}",
        "info --format {{.ServerVersion}}|{{.Driver}}|{{.Containers}}|{{.Swarm.LocalNodeState}}",
    ],
)
def test_our_command_line_prints_what_docker_s_prints(
    ours: Client, docker: Client, command: str
) -> None:
    words = [word.replace("_", " ", 1) if "json_" in word else word for word in command.split()]
    theirs, mine = docker.run(*words), ours.run(*words)
    assert blurred(mine.stdout) == blurred(theirs.stdout)
    assert mine.returncode == theirs.returncode


Case = Callable[[Client], list[object]]


def _told(client: Client, *words: str, **options: object) -> list[object]:
    done = client.run(*words, **options)
    return [done.returncode, blurred(done.stdout)]


def life(client: Client) -> list[object]:
    return [
        _told(client, "run", "--name", "box-life", "busybox", "sh", "-c", "echo hi; exit 4"),
        _told(client, "start", "-a", "box-life"),
        _told(client, "logs", "box-life"),
        _told(client, "ps", "-a", "--format", "{{.Names}} {{.Command}} {{.Image}}"),
        _told(client, "rm", "box-life"),
        _told(client, "rm", "box-life"),
    ]


def environment(client: Client) -> list[object]:
    scripts = (
        "env; id; pwd; umask; ulimit -c; cat /etc/hostname",
        "ls / /dev",
        "grep -E 'Cap(Prm|Eff|Bnd)|NoNewPrivs|Seccomp:' /proc/1/status",
        "for f in /proc/kcore /proc/keys; do cat $f | wc -c; done",
    )
    run = ("run", "--rm", "--hostname", "h")
    result = [_told(client, *run, "busybox", "sh", "-c", script) for script in scripts]
    for user in ("5:6", "nobody", "www-data:root", "0"):
        flags = ("-e", "A=b", "-w", "/x/y", "-u", user)
        result.append(_told(client, *run, *flags, "busybox", "sh", "-c", "echo $A; pwd; id"))
    return result


def codes(client: Client) -> list[object]:
    return [
        client.run("run", "--rm", "busybox", *command).returncode
        for command in (("true",), ("nosuch",), ("/etc/passwd",), ("sh", "-c", "exit 9"))
    ] + [
        client.run("exec", "nosuch", "true").returncode,
        client.run("kill", "nosuch").returncode,
        client.run("run", "--rm", "-v", "a:b:c:d", "busybox").returncode,
        client.run("run", "--rm", "-p", "99999", "busybox").returncode,
    ]


def streams(client: Client) -> list[object]:
    return [
        _told(client, "run", "--rm", "-i", "busybox", "cat", input="typed"),
        _told(
            client, "run", "--rm", "-i", "busybox", "sh", "-c", "read x; echo $x", input="a\nb\n"
        ),
        _told(
            client, "run", "--rm", "-a", "stderr", "busybox", "sh", "-c", "echo out; echo err >&2"
        ),
        _told(client, "run", "--rm", "busybox", "sh", "-c", "cat; echo end"),
    ]


def inspected(client: Client) -> list[object]:
    client("create", "--name", "box-look", "-m", "64m", "--cpus", "1.5", "--label", "a=b",
           "-p", "80", "--restart", "on-failure:2", "--tmpfs", "/t", "-e", "X=y",
           "--cap-add", "NET_ADMIN", "--ulimit", "nofile=64:128", "busybox", "true")  # fmt: skip
    fields = (
        "HostConfig.Memory HostConfig.NanoCpus HostConfig.PortBindings HostConfig.RestartPolicy"
        " HostConfig.Tmpfs HostConfig.CapAdd HostConfig.Ulimits"
        " HostConfig.LogConfig.Type HostConfig.ShmSize HostConfig.IpcMode"
        " Config.Env Config.Labels Config.Cmd Config.Entrypoint Config.ExposedPorts Config.Tty"
        " State.Status State.Running State.ExitCode State.StartedAt Path Args Name Mounts"
        " NetworkSettings.Ports NetworkSettings.IPAddress RestartCount Platform"
    )
    result: list[object] = [
        (field, client("inspect", "-f", f"{{{{json .{field}}}}}", "box-look"))
        for field in fields.split()
    ]
    client("rm", "box-look")
    return result


def networks(client: Client) -> list[object]:
    client("network", "create", "--subnet", "10.99.0.0/24", "box-seen")
    fields = "Name Driver Scope Internal Attachable EnableIPv6 IPAM.Driver Containers Labels"
    result: list[object] = [
        (field, client("network", "inspect", "-f", f"{{{{json .{field}}}}}", "box-seen"))
        for field in fields.split()
    ]
    run = (
        "run",
        "--rm",
        "--network",
        "box-seen",
        "--name",
        "box-a",
        "--network-alias",
        "al",
        "busybox",
    )
    result += [
        _told(client, *run, "sh", "-c", "ip -4 -o addr show eth0 | awk '{print $4}'"),
        _told(client, *run, "sh", "-c", "ip route"),
        _told(client, *run, "sh", "-c", "cat /etc/resolv.conf | grep nameserver"),
        _told(client, *run, "sh", "-c", "nslookup al | grep -c 'Address: 10.99.0'"),
    ]
    client("network", "rm", "box-seen")
    return result


@pytest.mark.parametrize(
    "case", [life, environment, codes, streams, inspected, networks], ids=lambda case: case.__name__
)
def test_our_daemon_does_what_docker_s_does(docker: Client, reference: Client, case: Case) -> None:
    docker("rm", "-f", "box-up", "box-gone", "box-new", "box-said", code=0)
    assert case(docker) == case(reference)
