"""What root in a container asks of the kernel: system calls, devices, settings, control groups.

Each attack is also made where what stops it is switched off, and must get through there.
"""

from pathlib import Path

import pytest

from tests.system.escapes.conftest import USER_NAMESPACES, Target

pytestmark = pytest.mark.root

CALLS = """
for name, number, arguments in (
    ("unshare user", 272, (0x10000000,)),
    ("unshare mount", 272, (0x20000,)),
    ("setns", 308, (0, 0)),
    ("mount", 165, (b"proc", b"/tmp", b"proc", 0, 0)),
    ("mount cgroup", 165, (b"x", b"/tmp", b"cgroup", 0, b"rdma")),
    ("remount", 165, (b"", b"/sys/fs/cgroup", b"", 0x1020, 0)),
    ("unmask", 166, (b"/proc/keys", 2)),
    ("open_tree", 428, (-100, b"/", 1)),
    ("move_mount", 429, (-100, b"/tmp", -100, b"/root", 0)),
    ("fsopen", 430, (b"proc", 0)),
    ("mount_setattr", 442, (-100, b"/", 0, 0, 0)),
    ("pivot_root", 155, (b"/", b"/")),
    ("bpf", 321, (0, 0, 0)),
    ("perf_event_open", 298, (0, 0, 0, 0, 0)),
    ("userfaultfd", 323, (0,)),
    ("io_uring_setup", 425, (1, 0)),
    ("keyctl", 250, (0, -3, 0)),
    ("add_key", 248, (b"user", b"x", b"y", 1, -3)),
    ("request_key", 249, (b"user", b"x", b"y", 0)),
    ("open_by_handle_at", 304, (0, 0, 0)),
    ("init_module", 175, (0, 0, 0)),
    ("finit_module", 313, (0, 0, 0)),
    ("kexec_load", 246, (0, 0, 0, 0)),
    ("reboot", 169, (0, 0, 0)),
    ("swapon", 167, (b"/x", 0)),
    ("iopl", 172, (3,)),
    ("settimeofday", 164, (0, 0)),
    ("syslog", 103, (3, 0, 0)),
    ("acct", 163, (b"/tmp/x",)),
    ("quotactl", 179, (0, 0, 0, 0)),
    ("personality", 135, (0x0040000,)),
    ("AF_ALG", 41, (38, 5, 0)),
    ("AF_VSOCK", 41, (40, 1, 0)),
):
    answer = call(number, *arguments)
    if answer not in ("EPERM", "ENOSYS"):
        print(name, answer)
print("clone3", call(435, 0, 0))
print("clone user", call(56, 0x10000000 | 17, 0, 0, 0, 0))
print("x32", call(0x40000000 + 39))
"""


@pytest.mark.parametrize("userns", USER_NAMESPACES)
def test_dangerous_calls_are_refused(target: Target, userns):
    result = target.python(CALLS, userns=userns)
    # glibc takes ENOSYS of clone3 for an old kernel, and uses clone, whose flags can be seen.
    assert result.out == "clone3 ENOSYS\nclone user EPERM\nx32 ENOSYS\n", result.err


def test_the_filter_is_what_refuses_them(target: Target):
    result = target.python(CALLS, "--security-opt", "seccomp=unconfined", userns="host")
    let = {line.rpartition(" ")[0] for line in result.out.splitlines()}
    # What every kernel of use has; the others may be missing from this one, which is no protection.
    assert {"unshare user", "unshare mount", "setns", "fsopen", "bpf", "open_by_handle_at"} <= let


FILES = """
for path in (
    "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname",
    "/proc/sys/vm/panic_on_oom", "/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger",
    "/proc/irq/default_smp_affinity", "/proc/kcore", "/proc/kmsg", "/proc/bus/pci/devices",
    "/dev/mem", "/dev/kmsg", "/dev/port", "/dev/fuse", "/dev/kvm", "/dev/loop-control",
    "/sys/kernel/uevent_helper", "/sys/power/state", "/sys/kernel/mm/ksm/run",
    "/sys/module/kernel/parameters/panic", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "/sys/fs/cgroup/devices/devices.allow", "/sys/fs/cgroup/memory/cgroup.procs",
    "/sys/fs/cgroup/memory/release_agent", "/sys/fs/cgroup/systemd/release_agent",
    "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory/notify_on_release",
):
    answer = attempt(os.open, path, os.O_WRONLY)
    if answer not in ("EACCES", "EPERM", "EROFS", "ENOENT"):
        print(path, answer)
for path in ("/proc/keys", "/proc/timer_list", "/proc/interrupts"):
    if os.path.exists(path) and open(path).read():
        print(path, "shows something")
for path in ("/sys/firmware", "/proc/acpi", "/proc/scsi"):
    if os.path.exists(path) and os.listdir(path):
        print(path, "shows something")
for group in ("memory", "devices", "pids", "."):
    path = f"/sys/fs/cgroup/{group}/escape"
    answer = attempt(os.mkdir, path)
    if answer not in ("EACCES", "EPERM", "EROFS", "ENOENT"):
        print(path, answer)
"""


@pytest.mark.parametrize("userns", USER_NAMESPACES)
def test_settings_of_the_kernel_are_out_of_reach(target: Target, userns):
    # CVE-2022-0492 (release_agent), CVE-2025-52881 (writes to /proc/sys and sysrq led astray).
    result = target.python(FILES, userns=userns)
    assert (result.code, result.out) == (0, ""), result.err


def test_settings_are_found_where_they_are_not_protected(target: Target):
    # Opened only: not a byte is written.
    result = target.python(FILES, "--privileged")
    assert "/proc/sys/kernel/core_pattern done" in result.out
    assert "/proc/keys shows something" in result.out
    assert "/escape done" in result.out
    assert Path("/proc/sysrq-trigger").exists() == ("/proc/sysrq-trigger done" in result.out)


RELEASE_AGENT = """
import ctypes
libc.unshare(0x10000000 | 0x02000000)
libc.unshare(0x00020000)
for controller in (b"memory", b"rdma", b"pids", b"devices", b"blkio", b"none,name=systemd"):
    if call(165, b"x", b"/mnt", b"cgroup", 0, controller) == "done":
        for place in ("/mnt/release_agent", "/mnt/escape/notify_on_release"):
            if "escape" in place:
                attempt(os.mkdir, "/mnt/escape")
            print(controller.decode(), place, attempt(os.open, place, os.O_WRONLY))
        attempt(os.rmdir, "/mnt/escape")
        libc.umount2(b"/mnt", 2)
"""


@pytest.mark.parametrize("userns", USER_NAMESPACES)
@pytest.mark.parametrize("filtered", [True, False])
def test_release_agent_cannot_be_set(target: Target, userns: str, filtered: bool):
    # CVE-2022-0492: a new user namespace gives the capability to mount, and nothing checked whose.
    options = ("--cgroupns", "host", "--tmpfs", "/mnt")
    options += () if filtered else ("--security-opt", "seccomp=unconfined")
    result = target.python(RELEASE_AGENT, *options, userns=userns)
    assert result.code == 0, result.err
    assert "release_agent done" not in result.out


def test_release_agent_can_be_set_by_the_hosts_root(target: Target):
    if not Path("/sys/fs/cgroup/memory/release_agent").exists():
        pytest.skip("control groups of version 2 have no release_agent")
    code = RELEASE_AGENT.replace("libc.unshare(0x10000000 | 0x02000000)", "")
    result = target.python(code, "--tmpfs", "/mnt", "--cgroupns", "host", "--privileged")
    assert "release_agent done" in result.out, result


@pytest.mark.parametrize("userns", USER_NAMESPACES)
def test_the_hosts_nodes_keep_their_mode_and_owner(target: Target, userns):
    # Files are masked with the host's null device; in a user namespace /dev is of the host's nodes.
    code = """
for path in ("/proc/keys", "/proc/timer_list", "/proc/interrupts"):
    for answer in (attempt(os.chmod, path, 0o600), attempt(os.chown, path, 1, 1),
                   attempt(os.utime, path), attempt(os.setxattr, path, "trusted.x", b"y")):
        if answer not in ("EPERM", "EROFS", "ENOENT", "EACCES"):
            print(path, answer)
"""
    mine = "for path in ('/dev/null', '/dev/zero'): print(attempt(os.chmod, path, 0o600))"
    result = target.python(code, userns=userns)
    assert result.out == "", result.err
    if userns == "private":
        assert target.python(mine).out == "EPERM\nEPERM\n"


NODES = """
nodes = (
    ("mem", stat.S_IFCHR, os.makedev(1, 1)), ("kmsg", stat.S_IFCHR, os.makedev(1, 11)),
    ("disk", stat.S_IFBLK, os.stat("/usr").st_dev), ("loop", stat.S_IFBLK, os.makedev(7, 0)),
    ("fuse", stat.S_IFCHR, os.makedev(10, 229)), ("tun", stat.S_IFCHR, os.makedev(10, 200)),
)
"""
HARMLESS = "nodes = (('kmsg', stat.S_IFCHR, os.makedev(1, 11)),)"
OPEN_NODES = """
for name, kind, number in nodes:
    for directory in ("/tmp", "/dev", "/dev/shm", "/data"):
        path = f"{directory}/{name}"
        if attempt(os.mknod, path, kind | 0o666, number) == "done":
            for flags in (os.O_RDONLY, os.O_WRONLY):
                answer = attempt(os.open, path, flags)
                if answer not in ("EPERM", "EACCES"):
                    print(path, answer)
"""


@pytest.mark.parametrize("userns", USER_NAMESPACES)
def test_devices_are_out_of_reach(target: Target, userns):
    result = target.python(NODES + OPEN_NODES, "-v", "/data", userns=userns)
    assert (result.code, result.out) == (0, ""), result.err


def test_devices_are_reached_where_they_are_allowed(target: Target):
    result = target.python(HARMLESS + OPEN_NODES, "-v", "/data", "--privileged")
    assert "kmsg done" in result.out, result


def test_devices_of_an_image_are_out_of_reach(target: Target):
    import tarfile  # noqa: PLC0415

    def node(name: str, kind: bytes, major: int, minor: int) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.devmajor, info.devminor, info.mode = kind, major, minor, 0o666
        return info

    directory = tarfile.TarInfo("data")
    directory.type, directory.mode = tarfile.DIRTYPE, 0o755
    image = target.image(
        {
            "data": directory,
            "data/mem": node("data/mem", tarfile.CHRTYPE, 1, 1),
            "data/disk": node("data/disk", tarfile.BLKTYPE, 254, 0),
            "kmsg": node("kmsg", tarfile.CHRTYPE, 1, 11),
        }
    )
    for userns in USER_NAMESPACES:
        # Once from the image and once from a volume that was filled from it.
        for options in ((), ("-v", "/data")):
            script = "for f in /data/mem /data/disk /kmsg; do head -c1 $f && echo read; done"
            result = target.run(*options, image, "sh", "-c", script, userns=userns)
            assert "read" not in result.out.split(), (userns, options)


def test_processes_of_others_are_not_seen(target: Target):
    neighbour = target.start("probe", "sleep", "12345")
    code = """
for pid in os.listdir("/proc"):
    if pid.isdigit():
        print(pid, open(f"/proc/{pid}/cmdline").read().split(chr(0))[0])
print(attempt(os.kill, 2, 9), attempt(os.readlink, "/proc/1/ns/pid"))
"""
    out = target.python(code).out
    assert "12345" not in out
    assert len(out.splitlines()) == 2
    target.host.remove(neighbour)


def test_shared_namespaces_do_not_show_the_hosts(target: Target):
    owner = target.start("probe", "sleep", "100")
    script = "cat /proc/[0-9]*/comm; ls /dev/mqueue"
    options = ("--pid", f"container:{owner}", "--ipc", f"container:{owner}")
    result = target.boxship("run", "--rm", *options, "probe", "sh", "-c", script)
    assert set(result.out.split()) <= {"sleep", "sh", "cat", "ls", "busybox"}, result.err
    target.host.remove(owner)
