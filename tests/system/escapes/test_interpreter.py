"""Getting hold of the engine's interpreter, its memory or its descriptors.

CVE-2016-9962, CVE-2019-5736, CVE-2024-21626.
"""

import hashlib
import os
import sys
from pathlib import Path

import pytest

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


def test_keys_of_the_host_are_not_at_hand(target: Target):
    # Without the filter, which forbids keyctl: keys are not separated by namespaces.
    code = "print(libc.syscall(250, 11, libc.syscall(250, 0, -3, 0), 0, 0))"
    options = ("--security-opt", "seccomp=unconfined")
    empty = target.python(code, *options, userns="host")
    assert empty.out == "0\n", empty.err
