"""Masked and read-only paths, control groups, and other places in a root (OCI runtime spec)."""

import os
import stat
import subprocess

import pytest

from boxship.runtime.cgroups import detect
from tests.system.runtime.test_mount_options import SHOW, bind, lines, options, tmpfs

pytestmark = pytest.mark.root


def paths(box, *, masked=(), read_only=()):
    box.spec["linux"]["maskedPaths"] = list(masked)
    box.spec["linux"]["readonlyPaths"] = list(read_only)
    return box


@pytest.mark.parametrize("separate", [False, True])
def test_masks_of_every_kind(box, root, tmp_path, separate):
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    for path in (root / "etc/secret", source / "file", source / "deep/file"):
        path.write_text("secret")
    (root / "link").symlink_to("/etc/secret")
    os.mkfifo(root / "fifo")
    box.spec["root"]["path"] = str(root)
    if separate:
        box.user_namespace()
        os.chown(root, 300_000, 300_000)
    bind(box, source, "rbind")
    paths(
        box,
        masked=["/link", "/home/file", "/home/deep", "/nosuch", "/etc/secret/below", "/fifo"],
    )
    script = (
        "cat /etc/secret /home/file; ls -A /home/deep | wc -l; stat -c %h /home/deep;"
        "touch /home/deep/x; chmod 600 /etc/secret; cat /fifo; exit 0"
    )
    result = box.shell(script).run()
    assert result.out.split() == ["0", "2"]
    assert result.err.count("Read-only file system") == 2, result.err
    assert (source / "deep/file").read_text() == "secret"


@pytest.mark.parametrize("separate", [False, True])
def test_read_only_paths_keep_the_other_attributes(box, tmp_path, separate):
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep").chmod(0o777)
    (source / "deep/file").write_text("")
    (source / "deep/file").chmod(0o666)
    if separate:
        box.user_namespace()
    bind(box, source, "rbind", "nosuid", "noexec", "nodev", "noatime")
    tmpfs(box, "noexec", target="/home/deep/below") if not separate else None
    paths(box, read_only=["/home/deep", "/home/deep/file", "/proc/sys", "/nosuch"])
    script = f"{SHOW}; echo x > /home/deep/file; touch /home/deep/x; touch /home/deep/below/x"
    result = box.shell(script).run()
    words, _ = options(result.out, "/home/deep")
    assert {"ro", "nosuid", "noexec", "nodev", "noatime"} <= words
    assert "ro" in options(result.out, "/proc/sys")[0]
    assert "rw" in options(result.out, "/home")[0]
    assert result.err.count("Read-only file system") == 2, result.err


def test_a_read_only_path_can_be_the_root(box):
    result = paths(box, read_only=["/"]).shell("touch /x; touch /dev/shm/x && echo shm").run()
    assert "/x: Read-only file system" in result.err
    assert result.out == "shm\n"


def test_a_read_only_root_leaves_what_is_mounted_below_it(box, root):
    (root / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", root / "below"], check=True)
    try:
        box.spec["root"].update(path=str(root), readonly=True)
        result = box.shell("touch /below/x && echo below; touch /x").run()
    finally:
        subprocess.run(["umount", "-l", root / "below"], check=True)
    assert result.out == "below\n"
    assert "/x: Read-only file system" in result.err


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/no/such/root", "cannot mount /no/such/root: no such file or directory"),
        ("/etc/passwd", "root.path is not a directory"),
    ],
)
def test_a_root_that_is_no_directory(box, path, text):
    box.spec["root"]["path"] = path
    result = box.run()
    assert result.code == 1
    assert text in result.err


def test_a_mount_that_fails_is_named(box):
    tmpfs(box, "size=much", target="/mnt")
    assert "cannot mount tmpfs at /mnt: fsconfig size" in box.run().err
    box.spec["mounts"][-1]["type"] = "boxship"
    assert "cannot mount boxship at /mnt: fsopen boxship: No such device" in box.run().err


def test_terminals_come_from_the_containers_own_devpts(box, root):
    box.spec["root"]["path"] = str(root)
    mounts = box.spec["mounts"]
    mounts[:] = [entry for entry in mounts if not entry["destination"].startswith("/dev")]
    os.mknod(root / "dev/ptmx", 0o666 | stat.S_IFCHR, os.makedev(5, 2))
    assert box.shell("readlink /dev/ptmx").run().out == "pts/ptmx\n"


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("namespaced", [False, True])
@pytest.mark.parametrize("word", ["ro", "rw"])
def test_control_groups_are_mounted(box, word, namespaced, separate):
    if separate:
        box.user_namespace()
    if not namespaced:
        box.namespace("cgroup", "-")
    for entry in box.spec["mounts"]:
        if entry["type"] == "cgroup":
            entry["options"] = ["nosuid", "noexec", "nodev", "relatime", word]
    tree = "/sys/fs/cgroup" if detect().version == 2 else "/sys/fs/cgroup/pids"
    script = f"cat {tree}/cgroup.procs | head -1; {SHOW}; mkdir {tree}/made && rmdir {tree}/made"
    result = box.shell(script).run()
    assert result.out.startswith("1\n"), result.err
    words, _ = options(result.out, tree)
    assert {word, "nosuid", "noexec", "nodev"} <= words
    if word == "ro":
        assert "Read-only file system" in result.err
    elif not separate or not namespaced or detect().version == 1:
        # Its files belong to the host's root (in version 2 see test_cgroup_ownership).
        assert ("Permission denied" in result.err) == separate


def test_control_groups_somewhere_else(box):
    box.spec["mounts"].append({"destination": "/mnt/groups", "type": "cgroup"})
    result = box.shell("find /mnt/groups -name cgroup.procs | head -1").run()
    assert result.out.startswith("/mnt/groups/")


@pytest.mark.overlayfs
@pytest.mark.parametrize("length", [1, 120])
def test_an_overlay_among_the_mounts(box, tmp_path, length):
    """A file system with parameters of its own, too long for fsconfig(2) too."""
    for name in ("upper", "work", f"{'l' * length}1", f"{'l' * length}2"):
        (tmp_path / name).mkdir()
    (tmp_path / f"{'l' * length}1" / "file").write_text("lower")
    lower = ":".join(f"{tmp_path}/{'l' * length}{number}" for number in (1, 2))
    words = [f"lowerdir={lower}", f"upperdir={tmp_path}/upper", f"workdir={tmp_path}/work"]
    entry = {"destination": "/mnt", "type": "overlay", "source": "overlay"}
    box.spec["mounts"].append({**entry, "options": [*words, "nosuid", "rslave"]})
    result = box.shell(f"cat /mnt/file; touch /mnt/new; {SHOW}").run()
    assert result.out.startswith("lower"), result.err
    assert (tmp_path / "upper/new").exists()
    assert "nosuid" in options(result.out, "/mnt")[0]
    assert len(lines(result.out, "/mnt")) == 1


def test_a_source_that_the_containers_root_cannot_reach(box, tmp_path):
    hidden = tmp_path / "hidden"
    (hidden / "data").mkdir(parents=True)
    (hidden / "data/file").write_text("content")
    hidden.chmod(0)
    bind(box.user_namespace(), hidden / "data", "rbind", "ro")
    assert box.shell("cat /home/file").run().out == "content"


@pytest.mark.parametrize("separate", [False, True])
def test_sysfs_and_proc_of_shared_namespaces(box, separate):
    if separate:
        box.user_namespace()
    for kind in ("network", "pid"):
        box.namespace(kind, "-")
    box.spec["linux"].pop("sysctl", None)
    result = box.shell(f"ls /sys/class/net; test -d /proc/{os.getpid()} && echo host; {SHOW}").run()
    assert "host" in result.out.split(), result.err
    assert set(os.listdir("/sys/class/net")) <= set(result.out.split())  # noqa: PTH208 - names
    assert "ro" in options(result.out, "/sys")[0]


def test_without_pivot_mounts_are_the_same(box, tmp_path):
    (tmp_path / "file").write_text("content")
    bind(box, tmp_path / "file", "bind", "ro", target="/etc/new/file")
    box.spec["root"]["readonly"] = True
    script = "cat /etc/new/file; echo; cat /proc/keys | wc -c; touch /x"
    result = box.shell(script).run("--no-pivot")
    assert result.out.split() == ["content", "0"]
    assert "/x: Read-only file system" in result.err
