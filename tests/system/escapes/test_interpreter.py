"""Getting hold of the engine's interpreter, its memory or its descriptors.

CVE-2016-9962, CVE-2019-5736, CVE-2024-21626.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from boxship.kernel import abi
from boxship.kernel.capabilities import capget, capset, mask
from tests.system.escapes import vulnerable
from tests.system.escapes.conftest import USER_NAMESPACES, Target

pytestmark = pytest.mark.root

INTERPRETER = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
# The engine's interpreter, become the container's program: it goes on to another program, so that
# nothing executes the file any more, and opens it for writing.
OVERWRITE = (
    "import os\n"
    "held = os.open('/proc/self/exe', os.O_PATH)\n"
    "os.set_inheritable(held, True)\n"
    "script = f'echo started; : 3<>/proc/self/fd/{held} && echo writable'\n"
    "os.execv('/bin/sh', ['sh', '-c', script])\n"
)


def _digest() -> str:
    return hashlib.sha256(INTERPRETER.read_bytes()).hexdigest()


def _libraries() -> tuple[str, ...]:
    # Where the container's loader finds what the interpreter needs.
    return tuple(f"-v={place}:{place}:ro" for place in dict.fromkeys(("/usr", sys.base_prefix)))


@pytest.mark.parametrize("options", [(), ("--userns=host",), ("--init", "--privileged")])
@pytest.mark.parametrize("form", ["program", "script"])
def test_the_interpreter_is_not_writable_through_proc(target: Target, options, form):
    before = _digest()
    target.host.data.joinpath("evil").write_text(f"#!/proc/self/exe\n{OVERWRITE}")
    target.host.data.joinpath("evil").chmod(0o755)
    command = {"program": ("/proc/self/exe", "-c", OVERWRITE), "script": ("/bin/evil",)}[form]
    evil = ("-v", f"{target.host.data}/evil:/bin/evil:ro")
    result = target.boxship("run", "--rm", *options, *_libraries(), *evil, "probe", *command)
    assert "writable" not in result.out
    container = target.start(*_libraries(), *evil, *options, "probe", "sleep", "100")
    result = target.boxship("exec", container, *command)
    assert "writable" not in result.out
    target.host.remove(container)
    assert _digest() == before


# A runtime as they were: it executes the container's program from its own file.
RUNTIME = """
import ctypes, os, sys
if ctypes.CDLL(None).setns(os.pidfd_open(PID), 0x20000) == 0:
    os.execv("/proc/self/exe", ["python", "-c", sys.argv[1]])
"""


def test_a_runtime_without_a_shield_is_overwritten(target: Target, tmp_path):
    runtime = shutil.copy(INTERPRETER, tmp_path / "runtime")
    container = target.start(*_libraries(), "--pid=host", "probe", "sleep", "100")
    code = RUNTIME.replace("PID", str(target.host.pid(container)))
    done = subprocess.run(
        [runtime, "-I", "-S", "-c", code, OVERWRITE], capture_output=True, text=True, check=False
    )
    assert "writable" in done.stdout, done
    target.host.remove(container)


@pytest.mark.parametrize("userns", USER_NAMESPACES)
def test_no_descriptor_leads_out(target: Target, userns):
    # Which the host has and the image has not.
    assert Path("/boot").is_dir()
    container = target.start("probe", "sleep", "100", userns=userns)
    for number in range(3, 14):
        place = f"/proc/self/fd/{number}"
        entered = target.boxship(
            "exec", "-w", place, container, "ls", "-d", "../../../../boot", "."
        )
        assert "boot" not in entered.out
        climbed = target.boxship("exec", container, f"{place}/../../../../../bin/ls", "/")
        assert "boot" not in climbed.out
    target.host.remove(container)
    result = target.run("-w", "/proc/self/fd/8", "probe", "true", userns=userns)
    assert result.code == 125


def test_a_descriptor_would_lead_out(target: Target):
    container = target.start("probe", "sleep", "100", userns="host")
    pid = target.host.pid(container)

    def work() -> None:
        held = os.open("/", os.O_PATH | os.O_DIRECTORY)
        os.set_inheritable(held, True)
        vulnerable.join(pid, abi.CLONE_NEWNS)
        os.chdir(f"/proc/self/fd/{held}")
        vulnerable.become("/bin/ls", "-d", "../../../../boot")

    entered = vulnerable.run(pid, abi.CLONE_NEWPID, work)
    assert "boot" in entered
    target.host.remove(container)


def _census(target: Target, container: str, *options: str) -> list[str]:
    script = "exec ls /proc/self/fd"
    return target.boxship("exec", *options, container, "sh", "-c", script).out.split()


@pytest.mark.parametrize("userns", USER_NAMESPACES)
@pytest.mark.parametrize("options", [(), ("-i",), ("--init",), ("-i", "--init")])
def test_a_program_has_three_descriptors(target: Target, userns: str, options: tuple[str, ...]):
    # The fourth is that of the listing; PID 1 may be the engine's own, which holds no more either.
    container = target.start(*options, "probe", "sleep", "100", userns=userns)
    assert _census(target, container) == ["0", "1", "2", "3"]
    assert _census(target, container, "-i") == ["0", "1", "2", "3"]
    held = target.boxship("exec", container, "sh", "-c", "ls /proc/1/fd /proc/2/fd").out.split()
    assert {word for word in held if word.isdigit()} == {"0", "1", "2"}
    target.host.remove(container)


WATCH = """
seen = set(os.listdir("/proc"))
mine = open("/proc/self/comm").read().strip()
tried, opened = 0, set()
def trace(pid):
    # In a child: what one traces is let go of at one's end.
    child = os.fork()
    if child == 0:
        os._exit(0 if call(101, 0x4206, pid, 0, 0) == "done" else 1)
    seen.add(str(child))
    return os.waitpid(child, 0)[1] == 0
print("watching", flush=True)
while tried < 20000 and not os.path.exists("/root/stop"):
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or pid in seen:
            continue
        tried += 1
        try:
            name = open(f"/proc/{pid}/comm").read().strip()
        except OSError:
            continue
        if name in ("true", "touch", mine):
            seen.add(pid)
            continue
        for what in ("exe", "cwd", "root", "fd/3", "ns/mnt"):
            if attempt(os.readlink, f"/proc/{pid}/{what}") == "done":
                opened.add(what)
        for what in ("mem", "maps", "environ"):
            try:
                os.close(os.open(f"/proc/{pid}/{what}", os.O_RDONLY))
                opened.add(what)
            except OSError:
                pass
        if trace(int(pid)):
            opened.add("ptrace")
        # The name is read again: it may have become the program meanwhile.
        try:
            if open(f"/proc/{pid}/comm").read().strip() != name:
                opened.clear()
        except OSError:
            opened.clear()
        if opened:
            print("opened", name, sorted(opened), flush=True)
            opened.clear()
"""


@pytest.mark.parametrize("userns", USER_NAMESPACES)
def test_what_enters_a_container_cannot_be_looked_into(target: Target, userns):
    container = target.start(*target.python_command(WATCH), userns=userns)
    target.host.until_output(container, "watching")
    for _ in range(10):
        assert target.boxship("exec", container, "true").code == 0
    target.boxship("exec", container, "touch", "/root/stop")
    assert "opened" not in target.host.output(container)
    target.host.remove(container)


def test_what_enters_as_old_runtimes_did_is_looked_into(target: Target):
    words = target.python_command(WATCH, "--cap-add", "SYS_PTRACE")
    container = target.start(*words, userns="host")
    target.host.until_output(container, "watching")
    with vulnerable.visiting(target.host.pid(container), abi.CLONE_NEWPID):
        target.host.until_output(container, "opened")
    output = target.host.output(container)
    assert all(what in output for what in ("'root'", "'mem'", "'ptrace'")), output
    target.host.remove(container)


def test_a_container_inherits_nothing(target: Target):
    # CVE-2022-24769 for the capabilities; the session keyring is possessed without them.
    script = "cat /proc/self/status; ls /proc/self/fd; cat /proc/1/environ; true"
    words = target.run("probe", "sh", "-c", script).out.replace("\0", " ").split()
    assert words[words.index("CapInh:") + 1] == "0000000000000000"
    assert words[words.index("CapAmb:") + 1] == "0000000000000000"
    # The last descriptor is that of the listing.
    first = words.index("0", words.index("nonvoluntary_ctxt_switches:") + 2)
    assert words[first : first + 4] == ["0", "1", "2", "3"]
    assert {word.partition("=")[0] for word in words[first + 4 :]} == {"PATH", "HOSTNAME", "HOME"}


# Capabilities of a file that whoever has them inheritable gains by executing it (capabilities(7)).
FILE_RIGHTS = """
import shutil, struct
shutil.copy("/bin/busybox", "/root/busybox")
os.chmod("/root/busybox", 0o755)
net_raw = 1 << 13
os.setxattr("/root/busybox", "security.capability",
            struct.pack("<IIIII", 0x02000001, 0, net_raw, 0, 0))
print("set", flush=True)
import time
time.sleep(100)
"""


@pytest.mark.parametrize("userns", USER_NAMESPACES)
def test_users_gain_no_capabilities_from_inheritable_ones(target: Target, userns: str):
    # CVE-2022-24769 (run) and CVE-2022-29162 (exec).
    container = target.start(*target.python_command(FILE_RIGHTS), userns=userns)
    target.host.until_output(container, "set")
    status = ("/root/busybox", "grep", "CapEff", "/proc/self/status")
    for options in (("-u", "web"), ("-u", "web", "--privileged"), ("-u", "1000:1000")):
        gained = target.boxship("exec", *options, container, *status)
        assert gained.out.split() == ["CapEff:", "0" * 16], gained
    pid = target.host.pid(container)

    def work() -> None:
        # What the runtimes did: the container's capabilities in the inheritable set as well.
        raw = mask(("CAP_NET_RAW",))
        effective, permitted, _ = capget()
        capset(effective, permitted, raw)
        os.setgroups([])
        os.setresgid(1000, 1000, 1000)
        os.setresuid(1000, 1000, 1000)
        vulnerable.become(*status)

    kinds = abi.CLONE_NEWPID | abi.CLONE_NEWNS
    if userns == "private":
        kinds |= abi.CLONE_NEWUSER
    assert vulnerable.run(pid, kinds, work).split() == ["CapEff:", f"{1 << 13:016x}"]
    target.host.remove(container)


KEYS = "print(libc.syscall(250, 11, libc.syscall(250, 0, -3, 0), 0, 0))"


def test_keys_of_the_host_are_not_at_hand(target: Target):
    # Without the filter, which forbids keyctl: keys are not separated by namespaces.
    options = ("--security-opt", "seccomp=unconfined")
    container = target.start(*target.python_command("libc.pause()", *options), userns="host")
    python = target.python_command(KEYS)[-5:]
    assert target.boxship("exec", container, *python).out == "0\n"
    pid = target.host.pid(container)

    def work() -> None:
        # A session that holds a key, as that of whoever starts an engine does.
        libc = ctypes.CDLL(None)
        libc.syscall(250, 1, None)
        assert libc.syscall(248, b"user", b"secret", b"x", 1, -3) > 0
        vulnerable.join(pid, abi.CLONE_NEWNS)
        vulnerable.become(*python)

    assert vulnerable.run(pid, abi.CLONE_NEWPID, work) == "4\n"
    target.host.remove(container)
