"""What a container sees and cannot do."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.runtime.conftest import PROGRAM, run

pytestmark = pytest.mark.root
# Prints what the links of /proc/self/ns say whose names follow.
LINKS = "links() { for n in $*; do readlink /proc/self/ns/$n; done; }; links"


def namespace(path):
    return str(Path(path).readlink())


def layers(directory, root):
    """An overlay over a root directory, as a snapshot store would hand it out."""
    for name in ("upper", "work"):
        (directory / "snapshot" / name).mkdir(parents=True)
    options = [
        f"lowerdir={root}",
        f"upperdir={directory}/snapshot/upper",
        f"workdir={directory}/snapshot/work",
        "userxattr",
    ]
    return [["overlay", "overlay", options]]


def test_a_link_in_the_image_cannot_lead_a_mount_out(box, root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "escape").symlink_to(outside)
    (root / "up").symlink_to("../../../../../../../../home")
    box.spec["root"]["path"] = str(root)
    source = tmp_path / "source"
    source.write_text("inside")
    for target in ("/escape/deep/file", "/up/file"):
        box.spec["mounts"].append(
            {"destination": target, "source": str(source), "options": ["bind"]}
        )
    result = box.shell("cat /escape/deep/file /up/file").run()
    assert result.out == "insideinside", result.err
    assert list(outside.iterdir()) == []
    assert not Path("/home/file").exists()


def test_a_magic_link_is_no_mount_target(box, root):
    (root / "cwd").symlink_to("/proc/self/cwd")
    box.spec["root"]["path"] = str(root)
    box.spec["mounts"].append({"destination": "/cwd/x", "type": "tmpfs", "source": "tmpfs"})
    result = box.run()
    assert result.code == 1
    assert "openat2 /cwd/x" in result.err


def test_a_working_directory_outside_is_refused(box):
    # CVE-2024-21626
    for number in range(3, 12):
        box.process["cwd"] = f"/proc/self/fd/{number}"
        result = box.run()
        assert result.code == 1
        assert "chdir to cwd" in result.err or "openat2" in result.err


def test_the_program_inherits_nothing_but_stdio(box):
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    result = box.shell("ls /proc/self/fd | wc -l; grep -c . /proc/self/environ").run()
    os.close(reading)
    os.close(writing)
    # ls has its own descriptor of the directory.
    assert result.out.split()[0] == "4"


def test_signals_the_interpreter_ignores_work_again(box):
    out = box.shell("grep -E 'SigIgn|SigBlk' /proc/self/status").run().out.split()
    assert out[1] == "0000000000000000"
    assert int(out[3], 16) & (1 << 12 | 1 << 24) == 0


def test_masked_and_read_only_paths(box):
    script = (
        "cat /proc/keys | wc -c; ls /sys/firmware | wc -l; touch /sys/firmware/x;"
        "echo 1 > /proc/sys/vm/swappiness; echo x > /proc/irq/default_smp_affinity; exit 0"
    )
    result = box.shell(script).run()
    assert result.out.split() == ["0", "0"]
    assert result.err.count("Read-only file system") == 3, result.err


def test_a_read_only_root_with_writable_mounts(box):
    box.spec["root"]["readonly"] = True
    box.spec["mounts"].append({"destination": "/home", "type": "tmpfs", "source": "tmpfs"})
    script = "touch /x 2>/dev/null || echo no; touch /home/x && touch /dev/shm/x && echo yes"
    assert box.shell(script).run().out == "no\nyes\n"


def test_binds_are_read_only_when_asked_and_missing_targets_are_made(box, root, tmp_path):
    box.spec["root"]["path"] = str(root)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("content")
    for target, word in (("/new/ro", "ro"), ("/new/rw", "rw")):
        entry = {"destination": target, "source": str(tmp_path / "data")}
        box.spec["mounts"].append({**entry, "options": ["rbind", word]})
    file = {"destination": "/etc/new/file", "source": str(tmp_path / "data/file")}
    box.spec["mounts"].append({**file, "options": ["bind"]})
    result = box.shell("touch /new/ro/x; touch /new/rw/y; cat /etc/new/file").run()
    assert result.out == "content"
    assert "/new/ro/x: Read-only file system" in result.err
    assert (tmp_path / "data" / "y").exists()


def test_a_missing_source_is_named(box):
    box.spec["mounts"].append({"destination": "/x", "source": "/no/such", "options": ["bind"]})
    assert "cannot mount /no/such: no such file or directory" in box.run().err


def test_a_tmpfs_can_be_filled_with_what_it_hides(box, root):
    (root / "data/deep").mkdir(parents=True)
    (root / "data/deep/file").write_text("old")
    (root / "data/link").symlink_to("deep/file")
    (root / "data/deep").chmod(0o711)
    os.chown(root / "data/deep", 7, 8)
    box.spec["root"]["path"] = str(root)
    entry = {"destination": "/data", "type": "tmpfs", "source": "tmpfs"}
    box.spec["mounts"].append({**entry, "options": ["tmpcopyup"]})
    script = "cat /data/link; stat -c ' %a %u:%g' /data/deep; echo new > /data/link"
    assert box.shell(script).run().out == "old 711 7:8\n"
    assert (root / "data/deep/file").read_text() == "old"


def test_the_working_directory_is_made(box, root):
    box.spec["root"]["path"] = str(root)
    box.process["cwd"] = "/srv/new/app"
    assert box.shell("pwd").run().out == "/srv/new/app\n"


@pytest.mark.parametrize("separate", [False, True])
def test_devices(box, separate):
    if separate:
        box.user_namespace()
    box.spec["linux"]["devices"] = [{"path": "/dev/mine", "type": "c", "major": 1, "minor": 5}]
    script = (
        "cd /dev; head -c 4 mine | od -An -tx1; echo x > null; head -c 1 urandom | wc -c;"
        "for l in fd stdin ptmx; do readlink $l; done;"
        "test -c tty && echo tty; test -d mqueue && echo mqueue"
    )
    out = box.shell(script).run()
    assert out.out.split() == [
        *["00", "00", "00", "00", "1"],
        "/proc/self/fd",
        "/proc/self/fd/0",
        "pts/ptmx",
        "tty",
        "mqueue",
    ], out.err


def test_user_home_groups_and_umask(box):
    box.process["user"] = {"username": "web", "umask": 0o077}
    box.process["user"]["additionalGroupNames"] = ["42"]
    result = box.shell("id; echo $HOME; umask; grep CapEff /proc/self/status").run()
    lines = result.out.splitlines()
    assert lines[0] == "uid=1000(web) gid=1000(web) groups=6(disk),42,1000(web)"
    assert lines[1:] == ["/home/web", "0077", "CapEff:\t0000000000000000"]


def test_capabilities_filter_and_new_privileges(box):
    box.process["noNewPrivileges"] = True
    result = box.shell("grep -E 'Cap|NoNew|Seccomp:' /proc/self/status; unshare -m true").run()
    status = dict(line.split(":\t") for line in result.out.splitlines())
    assert status["CapEff"] == status["CapBnd"] == "00000000a80425fb"
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert "unshare" in result.err


def test_limits_are_set_and_degrade(box):
    box.process["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "soft": 99, "hard": 100},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_NPROC", "soft": 2**64 - 1, "hard": 2**64 - 1},
    ]
    answer = box.shell("ulimit -n; ulimit -Hn; ulimit -c").spawn()
    assert answer["out"].split() == ["99", "100", "0"]
    assert all("RLIMIT_NPROC" in warning for warning in answer["warnings"])


def test_names_and_kernel_parameters(box):
    box.spec.update(hostname="box", domainname="domain")
    box.spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmax": "12345"}
    script = "hostname; cat /proc/sys/kernel/domainname /proc/sys/kernel/shmmax;"
    result = box.shell(script + "cat /proc/sys/net/ipv4/ip_forward; ip -o addr show lo").run()
    assert result.out.split()[:4] == ["box", "domain", "12345", "1"]
    assert "127.0.0.1/8" in result.out


def test_a_score_for_the_memory_killer(box):
    box.process["oomScoreAdj"] = 321
    assert box.shell("cat /proc/self/oom_score_adj").run().out == "321\n"


def test_shared_namespaces(box):
    host = {name: namespace(f"/proc/self/ns/{name}") for name in ("pid", "net", "ipc", "uts")}
    for kind in ("pid", "network", "ipc", "uts"):
        box.namespace(kind, "-")
    box.spec["linux"].pop("sysctl", None)
    box.spec.pop("hostname", None)
    result = box.shell(f"{LINKS} pid net ipc uts").run()
    assert result.out.split() == list(host.values()), result.err


def test_joined_namespaces(make_box):
    first, second = make_box(), make_box()
    first.shell("exec sleep 100").start()
    pid = first.pid()
    for kind, file in (("network", "net"), ("ipc", "ipc"), ("pid", "pid")):
        second.namespace(kind, f"/proc/{pid}/ns/{file}")
    result = second.shell(f"{LINKS} net ipc pid; ps | grep -c 'sleep 10[0]'").run()
    expected = [namespace(f"/proc/{pid}/ns/{name}") for name in ("net", "ipc", "pid")]
    assert result.out.split() == [*expected, "1"], result.err


@pytest.mark.parametrize("shared_pids", [False, True])
def test_a_user_namespace_can_be_joined(make_box, tmp_path, busybox_root, shared_pids):
    first, second = make_box(), make_box()
    first.user_namespace().shell("exec sleep 100").start()
    pid = first.pid()
    second.user_namespace().namespace("user", f"/proc/{pid}/ns/user")
    second.namespace("network", f"/proc/{pid}/ns/net")
    if shared_pids:
        second.namespace("pid", f"/proc/{pid}/ns/pid")
    second.shell(f"{LINKS} user net; echo $$; touch /made; stat -c %u /made")
    answer = second.spawn(rootfs=layers(tmp_path, busybox_root))
    lines = answer["out"].split()
    assert lines[:2] == [namespace(f"/proc/{pid}/ns/{name}") for name in ("user", "net")], answer
    assert (lines[2] == "1") != shared_pids
    assert lines[3] == "0"
    assert (tmp_path / "snapshot/upper/made").stat().st_uid == 0


@pytest.mark.overlayfs
@pytest.mark.parametrize("separate", [False, True])
def test_an_overlay_root_is_owned_by_the_containers_root(box, tmp_path, root, separate):
    (root / "owned").write_text("x")
    os.chown(root / "owned", 1000, 1000)
    if separate:
        box.user_namespace(500_000)
    script = (
        "stat -c '%u:%g' / /owned /etc; echo new > /file; rm /bin/vi; chown web /tmp;"
        "rm -r /home/web; mkdir /home/web; cat /proc/self/uid_map"
    )
    answer = box.shell(script).spawn(rootfs=layers(tmp_path, root))
    words = answer["out"].split()
    assert words[:3] == ["0:0", "1000:1000", "0:0"], answer
    assert words[4] == ("500000" if separate else "0")
    upper = tmp_path / "snapshot/upper"
    assert (upper / "file").stat().st_uid == 0
    assert (upper / "tmp").stat().st_uid == 1000
    assert (upper / "bin/vi").is_char_device()
    assert b"y" in os.getxattr(upper / "home/web", "user.overlay.opaque")
    assert answer["kinds"] == ["R"]
    assert answer["left"] == []


def test_volumes_are_mapped_for_a_user_namespace(box, tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "old").write_text("")
    os.chown(volume / "old", 1000, 1000)
    box.user_namespace()
    entry = {"destination": "/home", "source": str(volume)}
    box.spec["mounts"].append({**entry, "options": ["rbind", "idmap"]})
    result = box.shell("stat -c %u /home/old; touch /home/new; stat -c %u /home/new").run()
    assert result.out.split() == ["1000", "0"], result.err
    assert (volume / "new").stat().st_uid == 0


def test_a_mount_with_a_mapping_of_its_own(box, tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "old").write_text("")
    ids = [{"containerID": 0, "hostID": 70_000, "size": 10}]
    entry = {"destination": "/home", "source": str(volume), "options": ["bind"]}
    box.spec["mounts"].append({**entry, "uidMappings": ids, "gidMappings": ids})
    assert box.shell("stat -c %u:%g /home/old").run().out == "70000:70000\n"


def test_pipes_can_be_opened_again_by_the_user(box):
    box.user_namespace().process["user"] = {"uid": 1000, "gid": 1000}
    box.shell("echo again > /dev/stdout; echo err > /dev/stderr").save()
    words = ("run", "--bundle", str(box.bundle), box.id)
    done = subprocess.run(
        (*PROGRAM, "--root", str(box.state), *words), capture_output=True, check=False, text=True
    )
    assert (done.stdout, done.stderr) == ("again\n", "err\n")


def test_the_interpreter_cannot_be_looked_into(box):
    box.save()
    assert box.command("create", "--bundle", str(box.bundle), box.id).code == 0
    status = Path(f"/proc/{box.pid()}/environ")
    # Files of a process that is not dumpable belong to root, whatever its user is.
    assert status.stat().st_uid == 0
    box.process["user"] = {"uid": 1000, "gid": 1000}
    result = box.command("exec", "--user", "1000:1000", box.id, "ls", "/proc/1/fd")
    assert "Permission denied" in result.err


def test_init_reaps_passes_signals_on_and_ends_with_the_programs_code(box):
    box.process["init"] = True
    script = (
        "(sleep 0.05 & exec true); echo $$; sleep 0.2; cat /proc/*/stat | grep -c ') Z'; exit 6"
    )
    result = box.shell(script).run()
    assert result.code == 6
    assert result.out.split() == ["2", "0"], result.err


def test_init_passes_signals_on(box):
    box.process["init"] = True
    box.shell("trap 'exit 8' USR1; touch /dev/shm/ready; while :; do sleep 0.01; done").start()
    probe = "until test -e /dev/shm/ready; do :; done"
    assert box.command("exec", box.id, "sh", "-c", probe).code == 0
    pidfd = os.pidfd_open(box.pid())
    assert box.command("kill", box.id, "USR1").code == 0
    assert select.select([pidfd], [], [], 10)[0]
    os.close(pidfd)


def test_init_reports_a_program_that_cannot_run(box, root):
    (root / "bin/odd").write_text("#!/no/such/interpreter\n")
    (root / "bin/odd").chmod(0o755)
    box.spec["root"]["path"] = str(root)
    box.process.update(init=True, args=["odd"])
    assert "exec /bin/odd: no such file or directory" in box.run().err


def test_a_spawn_that_fails_leaves_no_group_behind(box):
    box.spec["mounts"].append({"destination": "/x", "source": "/no/such", "options": ["bind"]})
    answer = box.spawn()
    assert answer["kinds"] == ["E"]
    assert "/no/such" in answer["text"]
    assert answer["status"] == 1
    assert answer["left"] == []


def test_control_groups_are_shown_as_the_containers_own(box):
    result = box.shell("cat /proc/self/cgroup; ls /sys/fs/cgroup; cat /proc/1/cpuset").run()
    lines = result.out.splitlines()
    assert all(line.endswith(":/") for line in lines if line[0].isdigit())


def test_without_pivot(box):
    result = box.shell("ls /; cat /proc/self/mountinfo | wc -l").run("--no-pivot")
    assert "bin" in result.out.split()


@pytest.mark.parametrize("separate", [False, True])
def test_without_pivot_the_hosts_proc_is_gone(box, separate):
    # A whole one in the mount namespace would let the kernel mount another, unmasked.
    if separate:
        box.user_namespace()
    inner = "mount -t proc none /mnt && ls /mnt; mount -t sysfs none /mnt && ls /mnt; true"
    script = f"mkdir -p /mnt; ls -d /proc/1 /proc/keys; unshare -Urmnpf sh -c '{inner}'"
    box.spec["linux"].pop("seccomp", None)
    result = box.shell(script).run("--no-pivot")
    assert result.out.split() == ["/proc/1", "/proc/keys"]
    assert result.err.count("permission denied") == 2, result.err


def test_the_documents_own_state(box):
    box.spec["annotations"] = {"key": "value"}
    box.shell("exec sleep 100").start()
    assert json.loads(box.command("state", box.id).out)["annotations"] == {"key": "value"}


@pytest.mark.parametrize("way", ["run", "exec", "init"])
def test_the_interpreter_is_not_what_a_container_starts_from(box, root, way):
    # CVE-2019-5736: with our interpreter behind /proc/self/exe this would print its version.
    (root / "bin/evil").write_text("#!/proc/self/exe --version\n")
    (root / "bin/evil").chmod(0o755)
    box.spec["root"]["path"] = str(root)
    if way == "exec":
        box.shell("exec sleep 100").start()
        result = box.command("exec", box.id, "evil")
    else:
        box.process.update(args=["evil"], init=way == "init")
        result = box.run()
    assert "Python" not in result.out + result.err
    assert result.code != 0


def test_a_machine_without_a_shield_runs_from_a_read_only_mount():
    code = (
        "import os; from boxship.kernel.linux import LinuxKernel;"
        "from boxship.runtime.oci.commands import run_read_only; run_read_only(LinuxKernel());"
        "print(bool(os.statvfs('/proc/self/exe').f_flag & os.ST_RDONLY))"
    )
    assert run(sys.executable, "-c", code).out == "True\n"
