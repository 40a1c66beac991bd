"""What exec sends into a container: CVE-2016-9962, and ptrace of the exec helper.

The vulnerable design makes the new process visible in the container's pid namespace first, and
takes the host's mounts, descriptors and capabilities from it afterwards. Root in the container,
allowed to trace, stops it in between and is the host's root.
"""

import pytest

from boxship.kernel import abi
from tests.system.escapes import vulnerable
from tests.system.escapes.conftest import USER_NAMESPACES, Target

pytestmark = pytest.mark.root

# Every process that turns up, as often as it can be read, as its rights and what leads out of it.
SPY = """
def facts(pid):
    words = open(f"/proc/{pid}/status").read().split()
    found = [words[words.index("CapEff:") + 1], words[words.index("Seccomp:") + 1]]
    for what in ("root", "cwd", "ns/mnt", "ns/user", "ns/net"):
        try:
            found.append(os.readlink(f"/proc/{pid}/{what}"))
        except PermissionError:
            found.append("")
    try:
        ends = [os.readlink(f"/proc/{pid}/fd/{one}") for one in os.listdir(f"/proc/{pid}/fd")]
        # Sockets and pipes lead nowhere, and the program itself loads its libraries.
        usual = ("/dev/", "/usr/lib", "/lib", "/etc/ld.so", "/memfd:", "/root/stop")
        found += sorted({one for one in ends if one[0] == "/" and not one.startswith(usual)})
    except OSError:
        pass
    return found
own = facts("self")[:7]
seen, known, looks = set(), set(os.listdir("/proc")), 0
print("watching", flush=True)
while not os.path.exists("/root/stop"):
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or pid in known:
            continue
        try:
            looks += 1
            found = facts(pid)
        except OSError:
            continue
        if len(found) > 7 and found[7:] != ["/proc"]:
            print("descriptors", found[7:], flush=True)
        for here, there in zip(own, found):
            if there not in ("", here):
                print("differs", here, there, flush=True)
print("looks", looks > 0, flush=True)
"""


@pytest.mark.parametrize("userns", USER_NAMESPACES)
def test_the_helper_has_no_more_than_the_container(target: Target, userns: str):
    words = target.python_command(SPY, "--cap-add", "SYS_PTRACE")
    container = target.start(*words, userns=userns)
    target.host.until_output(container, "watching")
    for _ in range(15):
        assert target.boxship("exec", container, "true").code == 0
    target.boxship("exec", container, "touch", "/root/stop")
    target.host.until_output(container, "looks")
    output = target.host.output(container)
    assert "differs" not in output
    assert "descriptors" not in output
    assert "looks True" in output
    target.host.remove(container)


def test_the_spy_sees_one_that_has_more(target: Target):
    words = target.python_command(SPY, "--cap-add", "SYS_PTRACE")
    container = target.start(*words, userns="host")
    target.host.until_output(container, "watching")
    with vulnerable.visiting(target.host.pid(container), abi.CLONE_NEWPID):
        target.host.until_output(container, "differs")
        target.host.until_output(container, "descriptors")
    target.host.remove(container)


def test_exec_works_where_processes_are_few_and_filters_strict(target: Target, tmp_path):
    # The helper clones under the container's filter; one that forbids it must not forbid exec.
    profile = tmp_path / "profile.json"
    forbidden = '{"names": ["clone", "clone3", "fork", "vfork"], "action": "SCMP_ACT_ERRNO"}'
    profile.write_text(f'{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{forbidden}]}}')
    options = ("--security-opt", f"seccomp={profile}", "--pids-limit", "3")
    container = target.start(*options, "probe", "sleep", "100")
    assert target.boxship("exec", container, "echo", "runs").out == "runs\n"
    assert target.boxship("exec", container, "nope").code == 127
    assert target.boxship("exec", "-t", container, "echo", "runs").out == "runs\n"
    target.host.remove(container)
