"""Profiles that an agent decides about, and profiles that mean nothing (OCI, "Seccomp")."""

import array
import fcntl
import json
import os
import select
import socket
import struct
import threading

import pytest

pytestmark = pytest.mark.root

# linux/seccomp.h: the ioctls, and struct seccomp_notif (80 bytes) and seccomp_notif_resp (24)
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1
_EDOM = 33
_LIMIT_SECONDS = 20


class Agent:
    """Answers each announced call with EDOM, or lets it go on.

    Attributes:
        path: where it listens.
        states: what it was told.
        calls: how many it answered.
    """

    def __init__(self, path, *, lenient=False):
        self.path = str(path)
        self.states = []
        self.calls = 0
        self._lenient = lenient
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen(4)
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self):
        os.close(self._stopped)
        self._thread.join(_LIMIT_SECONDS)
        self._socket.close()
        os.close(self._stop)
        assert not self._thread.is_alive()

    def _serve(self):
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        poller.register(self._stop, select.POLLIN)
        listeners = []
        while True:
            for fd, event in poller.poll():
                if fd == self._stop:
                    for listener in listeners:
                        os.close(listener)
                    return
                if fd == self._socket.fileno():
                    listeners.append(self._take())
                    poller.register(listeners[-1], select.POLLIN)
                elif event & select.POLLIN:
                    self._answer(fd)
                else:
                    poller.unregister(fd)

    def _take(self):
        connection, _ = self._socket.accept()
        with connection:
            text, rights, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(4))
            while more := connection.recv(65536):
                text += more
        self.states.append(json.loads(text))
        return array.array("i", rights[0][2])[0]

    def _answer(self, listener):
        asked = bytearray(80)
        try:
            fcntl.ioctl(listener, _RECEIVE, asked)
        except FileNotFoundError:
            return  # it was killed meanwhile
        self.calls += 1
        (number,) = struct.unpack_from("=Q", asked)
        verdict = (0, 0, _CONTINUE) if self._lenient else (0, -_EDOM, 0)
        fcntl.ioctl(listener, _SEND, struct.pack("=QqiI", number, *verdict))


@pytest.fixture
def make_agent(tmp_path):
    made = []

    def make(**options):
        made.append(Agent(tmp_path / f"agent{len(made)}.sock", **options))
        return made[-1]

    yield make
    for agent in made:
        agent.close()


def ask(box, agent, *names):
    """Have an agent decide about system calls, and allow the rest."""
    box.spec["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": agent.path,
        "listenerMetadata": "some words",
        "syscalls": [{"names": list(names), "action": "SCMP_ACT_NOTIFY"}],
    }


@pytest.mark.parametrize("confined", [False, True])
def test_an_agent_decides(box, make_agent, confined):
    agent = make_agent()
    ask(box, agent, "mkdir", "mkdirat")
    box.process["noNewPrivileges"] = confined
    box.spec["annotations"] = {"a": "b"}
    result = box.shell("mkdir /tmp/never").run()
    assert result.code == 1
    assert "Numerical argument out of domain" in result.err
    (state,) = agent.states
    assert state["fds"] == ["seccompFd"]
    assert state["metadata"] == "some words"
    assert state["pid"] == state["state"]["pid"] > 1
    assert state["state"]["id"] == box.id
    assert state["state"]["status"] == "creating"
    assert state["state"]["annotations"] == {"a": "b"}


def test_an_agent_is_told_of_an_exec_process(box, make_agent):
    agent = make_agent()
    ask(box, agent, "mkdir", "mkdirat")
    box.shell("sleep 100").start()
    result = box.command("exec", box.id, "sh", "-c", "mkdir /tmp/never; exit 7")
    assert result.code == 7
    assert "Numerical argument out of domain" in result.err
    first, second = agent.states
    assert second["state"]["status"] == "running"
    assert second["state"]["pid"] == first["pid"] == box.pid()
    assert second["pid"] not in (0, first["pid"])


@pytest.mark.parametrize("name", ["execve", "write", "sendto", "recvmsg", "clone", "close"])
def test_an_agent_that_lets_go_on(box, make_agent, name):
    agent = make_agent(lenient=True)
    ask(box, agent, name)
    box.spec["linux"]["seccomp"]["flags"] = [
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    ]
    result = box.shell("echo done; (true); true").run()
    assert result.out == "done\n", result.err
    assert agent.calls


def test_nobody_listens(box, tmp_path):
    box.spec["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": str(tmp_path / "none.sock"),
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}],
    }
    result = box.run()
    assert result.code == 1
    assert "none.sock: No such file or directory" in result.err
    # Without such a rule the path is ignored.
    box.spec["linux"]["seccomp"]["syscalls"] = []
    assert box.run().code == 0


RULE = {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/x"}, "cannot be the default"),
        ({"defaultAction": "SCMP_ACT_MAYBE"}, "unknown seccomp action 'SCMP_ACT_MAYBE'"),
        ({"listenerMetadata": "x"}, "listenerMetadata is set without linux.seccomp.listenerPath"),
        ({"defaultErrnoRet": 1}, "errnoRet 1 is set for SCMP_ACT_ALLOW"),
        ({"flags": ["SECCOMP_FILTER_FLAG_NEW"]}, "unknown seccomp flag 'SECCOMP_FILTER_FLAG_NEW'"),
        ({"architectures": ["SCMP_ARCH_Z80"]}, "unknown seccomp architecture 'SCMP_ARCH_Z80'"),
        ({"syscalls": [{**RULE, "names": []}]}, "SCMP_ACT_ERRNO has no names"),
        ({"syscalls": [{**RULE, "action": "SCMP_ACT_NOTIFY"}]}, "without linux.seccomp.listener"),
        (
            {"syscalls": [{**RULE, "action": "SCMP_ACT_KILL", "errnoRet": 5}]},
            "errnoRet 5 is set for SCMP_ACT_KILL",
        ),
        (
            {
                "listenerPath": "/x",
                "syscalls": [{"names": ["sendmsg"], "action": "SCMP_ACT_NOTIFY"}],
            },
            "SCMP_ACT_NOTIFY cannot be used for sendmsg",
        ),
        (
            {"syscalls": [{**RULE, "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]},
            "seccomp argument 6 is not from 0 to 5",
        ),
        (
            {"syscalls": [{**RULE, "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_X"}]}]},
            "unknown seccomp operator 'SCMP_CMP_X'",
        ),
    ],
)
def test_profiles_that_mean_nothing(box, profile, words):
    box.spec["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", **profile}
    result = box.run()
    assert result.code == 1
    assert words in result.err


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("SCMP_ACT_ALLOW", 0),
        ("SCMP_ACT_LOG", 0),
        ("SCMP_ACT_ERRNO", 1),
        ("SCMP_ACT_TRACE", 1),
        ("SCMP_ACT_TRAP", 128 + 31),
        ("SCMP_ACT_KILL", 128 + 31),
        ("SCMP_ACT_KILL_THREAD", 128 + 31),
        ("SCMP_ACT_KILL_PROCESS", 128 + 31),
    ],
)
def test_actions(box, action, code):
    box.spec["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_LOG" if action == "SCMP_ACT_ALLOW" else "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": action}],
    }
    box.spec["mounts"].append({"destination": "/t", "type": "tmpfs", "source": "tmpfs"})
    box.process["args"] = ["mkdir", "/t/x"]
    assert box.run().code == code


@pytest.mark.parametrize(
    ("operator", "value", "second", "refused"),
    [
        ("NE", 0o700, 0, True),
        ("NE", 0o755, 0, False),
        ("LT", 0o756, 0, True),
        ("LE", 0o755, 0, True),
        ("EQ", 0o755, 0, True),
        ("GE", 0o755, 0, True),
        ("GT", 0o755, 0, False),
        ("MASKED_EQ", 0o700, 0o700, True),
        ("MASKED_EQ", 0o077, 0o077, False),
    ],
)
def test_comparisons(box, operator, value, second, refused):
    argument = {"index": 1, "value": value, "valueTwo": second, "op": f"SCMP_CMP_{operator}"}
    rule = {"names": ["chmod"], "action": "SCMP_ACT_ERRNO", "errnoRet": _EDOM, "args": [argument]}
    box.spec["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [rule],
    }
    box.spec["mounts"].append({"destination": "/t", "type": "tmpfs", "source": "tmpfs"})
    result = box.shell(": > /t/x; chmod 755 /t/x").run()
    assert ("out of domain" in result.err) == refused, result.err
