"""Options of mounts, each as the kernel shows it (OCI runtime spec, "Linux mount options")."""

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.root
SHOW = "cat /proc/self/mountinfo"


def lines(text, target):
    """The mounts at a target, the top one last: fields of mountinfo (proc(5))."""
    rows = [line.split(" ") for line in text.splitlines()]
    return [row for row in rows if len(row) > 9 and row[4] == target]


def options(text, target):
    """Words of the mount and of its file system."""
    row = lines(text, target)[-1]
    return set(row[5].split(",")), set(row[-1].split(","))


@pytest.fixture
def tree(tmp_path):
    """A directory with a tmpfs mounted below, to bind."""
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", source / "sub"], check=True)
    yield source
    subprocess.run(["umount", "-l", source / "sub"], check=True)


def tmpfs(box, *words, target="/mnt"):
    box.spec["mounts"].append(
        {"destination": target, "type": "tmpfs", "source": "tmpfs", "options": list(words)}
    )
    return box


def bind(box, source, *words, target="/home", **more):
    entry = {"destination": target, "source": str(source), "options": list(words)}
    box.spec["mounts"].append({**entry, **more})
    return box


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize(
    ("words", "present", "absent"),
    [
        ("ro", "ro", "rw"),
        ("rro", "ro", "rw"),
        ("ro rw", "rw", "ro"),
        ("nosuid nodev noexec", "nosuid nodev noexec", ""),
        ("rnosuid rnodev rnoexec", "nosuid nodev noexec", ""),
        ("nosuid suid", "", "nosuid"),
        ("noatime", "noatime", "relatime"),
        ("noatime atime", "relatime", "noatime"),
        ("strictatime", "", "relatime noatime"),
        ("strictatime norelatime", "", "relatime noatime"),
        ("strictatime nostrictatime", "relatime", ""),
        ("noatime nostrictatime", "noatime", ""),
        ("nodiratime", "nodiratime", ""),
        ("nosymfollow", "nosymfollow", ""),
        ("defaults async loud auto _netdev x-initrd.mount", "rw relatime", "sync"),
    ],
)
def test_attributes_of_a_file_system(box, words, present, absent, separate):
    if separate:
        box.user_namespace()
    result = tmpfs(box, *words.split()).shell(SHOW).run()
    assert result.code == 0, result.err
    found, _ = options(result.out, "/mnt")
    assert set(present.split()) <= found
    assert not set(absent.split()) & found


@pytest.mark.parametrize(
    ("words", "present"),
    [
        ("sync", "sync"),
        ("dirsync", "dirsync"),
        ("sync async", ""),
        ("mand nomand iversion silent", ""),
        ("size=64k mode=700 silent", "size=64k mode=700"),
        ("iversion noatime ro sync", "sync ro"),
    ],
)
@pytest.mark.parametrize("separate", [False, True])
def test_flags_of_a_file_system(box, words, present, separate):
    if separate:
        box.user_namespace()
    result = tmpfs(box, *words.split()).shell(SHOW).run()
    assert result.code == 0, result.err
    mount, found = options(result.out, "/mnt")
    assert set(present.split()) <= found
    assert ("sync" in found) == ("sync" in present.split())
    assert ("noatime" in mount) == ("noatime" in words)


def test_a_tmpfs_is_filled_in_a_user_namespace(box, root):
    (root / "data").mkdir()
    (root / "data/file").write_text("old")
    os.chown(root / "data/file", 300_007, 300_008)
    box.user_namespace().spec["root"]["path"] = str(root)
    os.chown(root, 300_000, 300_000)
    tmpfs(box, "tmpcopyup", "iversion", target="/data")
    result = box.shell("cat /data/file; stat -c ' %u:%g' /data/file").run()
    assert result.out == "old 7:8\n", result.err


def test_an_unknown_option_is_the_file_systems(box):
    result = tmpfs(box, "blue=sky").run()
    assert result.code == 1
    assert "Unknown parameter 'blue'" in result.err


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize(
    ("words", "here", "below"),
    [
        ("rbind ro", "ro", "rw"),
        ("rbind rro", "ro", "ro"),
        ("rbind rro rw", "rw", "ro"),
        ("rbind rro rrw", "rw", "rw"),
        ("rbind rnosuid rnodev rnoexec", "nosuid nodev noexec", "nosuid nodev noexec"),
        ("rbind nosuid", "nosuid", ""),
        ("rbind rnoatime", "noatime", "noatime"),
        ("rbind rnosymfollow rnodiratime", "nosymfollow nodiratime", "nosymfollow nodiratime"),
        ("rbind sync bind", "", ""),
    ],
)
def test_attributes_of_a_bind_and_what_is_below(box, tree, words, here, below, separate):
    if separate:
        box.user_namespace()
    result = bind(box, tree, *words.split()).shell(SHOW).run()
    assert result.code == 0, result.err
    assert set(here.split()) <= options(result.out, "/home")[0]
    assert set(below.split()) <= options(result.out, "/home/sub")[0]


def test_a_bind_that_is_not_recursive_leaves_out_what_is_below(box, tree):
    assert lines(bind(box, tree, "bind").shell(SHOW).run().out, "/home/sub") == []


def test_what_is_mounted_can_be_changed(box, tree):
    tmpfs(box, "rw", "size=64k", "nosuid")
    bind(box, tree, "rbind")
    for target, words in (
        ("/mnt", ["remount", "ro", "sync", "size=128k", "nodev"]),
        ("/home", ["remount", "bind", "noexec", "rnosuid"]),
        ("/", ["remount", "bind", "nosuid"]),
    ):
        box.spec["mounts"].append({"destination": target, "options": words})
    result = box.shell(SHOW).run()
    assert result.code == 0, result.err
    mount, found = options(result.out, "/mnt")
    # As with mount(8), what is not named stays.
    assert {"ro", "nosuid", "nodev"} <= mount
    assert {"ro", "sync", "size=128k"} <= found
    assert {"noexec", "nosuid", "rw"} <= options(result.out, "/home")[0]
    assert "nosuid" in options(result.out, "/home/sub")[0]
    assert "nosuid" in options(result.out, "/")[0]


def test_what_is_no_mount_cannot_be_changed(box):
    box.spec["mounts"].append({"destination": "/bin", "options": ["remount", "bind", "ro"]})
    result = box.run()
    assert result.code == 1
    assert "mount_setattr" in result.err


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"options": ["bind"]}, "the bind mount at /x has no source"),
        ({"type": "none", "source": "/mnt"}, "the mount at /x has no type"),
        ({"type": "tmpfs", "options": ["idmap"]}, "only bind mounts"),
        ({"type": "tmpfs", "options": ["dest-nofollow"]}, "symbolic link"),
        ({"type": "sysfs", "options": ["tmpcopyup"]}, "tmpcopyup"),
        ({"type": "tmpfs", "options": ["remount", "iversion"]}, "cannot remount /x"),
        ({"source": "/mnt", "options": ["bind", "idmap"]}, "no user namespace"),
        (
            {
                "source": "/mnt",
                "options": ["bind", "idmap"],
                "uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}],
            },
            "uidMappings but no gidMappings",
        ),
        ({"source": "/etc/passwd", "destination": "/bin", "options": ["bind"]}, "it is a file"),
        ({"source": "/mnt", "destination": "/bin/sh", "options": ["bind"]}, "it is a directory"),
    ],
)
def test_entries_that_make_no_sense_are_refused(box, entry, text):
    box.spec["mounts"].append({"destination": "/x", **entry})
    result = box.run()
    assert result.code == 1
    assert text in result.err


def test_a_file_system_without_id_mapping(box):
    box.user_namespace()
    result = bind(box, "/proc/sys", "bind", "idmap").run()
    assert "does not support id-mapped mounts" in result.err
    box.spec["mounts"][-1]["options"][-1] = "x-boxship.idmap"
    assert box.run().code == 0


def test_ids_are_mapped_below_when_asked(box, tree):
    for path in (tree / "file", tree / "sub/file"):
        path.touch()
        path.chmod(0o644)
    ids = [{"containerID": 0, "hostID": 70_000, "size": 10}]
    bind(box, tree, "rbind", "idmap", uidMappings=ids, gidMappings=ids)
    bind(box, tree, "rbind", "ridmap", target="/mnt", uidMappings=ids, gidMappings=ids)
    result = box.shell("stat -c %u:%g /home/file /home/sub/file /mnt/file /mnt/sub/file").run()
    assert result.out.split() == ["70000:70000", "0:0", "70000:70000", "70000:70000"], result.err


def test_without_mappings_a_user_namespace_holds_the_caller(box):
    box.namespace("user").spec["linux"]["sysctl"] = {}
    for mount in box.spec["mounts"]:
        mount["options"] = [o for o in mount.get("options") or () if not o.startswith("gid=")]
    result = box.shell("cat /proc/self/uid_map /proc/self/gid_map; id -u").run()
    assert result.out.split() == ["0", "0", "1", "0", "0", "1", "0"], result.err


@pytest.mark.parametrize("kind", ["fifo", "socket", "link"])
def test_other_files_than_regular_ones_are_bound(box, tmp_path, kind):
    source = tmp_path / "source"
    if kind == "fifo":
        os.mkfifo(source)
    elif kind == "socket":
        os.mknod(source, 0o140644)
    else:
        (tmp_path / "real").write_text("content")
        source.symlink_to("real")
    bind(box, source, "rro", "bind", target="/dev/new/file")
    out = box.shell("stat -c %F /dev/new/file").run().out
    assert out.strip() == {"fifo": "fifo", "socket": "socket", "link": "regular file"}[kind]


def test_links_are_mounted_copied_or_mounted_over(box, root, tmp_path):
    box.spec["root"]["path"] = str(root)
    (tmp_path / "real").write_text("content")
    (tmp_path / "link").symlink_to("nowhere")
    (root / "target").symlink_to("/no/such/place")
    (root / "etc/same").symlink_to("nowhere")
    bind(box, tmp_path / "real", "bind", "dest-nofollow", target="/target")
    bind(box, tmp_path / "link", "bind", "src-nofollow", "dest-nofollow", target="/new/over")
    bind(box, tmp_path / "link", "bind", "copy-symlink", target="/new/copy")
    bind(box, tmp_path / "link", "bind", "copy-symlink", target="/etc/same")
    result = box.shell("cat /target; readlink /new/over; readlink /new/copy").run()
    assert result.out == "contentnowhere\nnowhere\n", result.err
    assert not (root / "no").exists()
    box.spec["mounts"][-1]["destination"] = "/etc/passwd"
    assert "something else is there" in box.run().err


def test_a_mount_over_the_root_becomes_it(box, root, tmp_path):
    (root / "mark").touch()
    box.spec["mounts"].insert(0, {"destination": "/", "source": str(root), "options": ["rbind"]})
    box.spec["root"]["readonly"] = True
    result = box.shell("ls /mark /proc/version /; touch /mark").run()
    assert result.out.split()[:2] == ["/mark", "/proc/version"]
    assert "Read-only file system" in result.err
    # The image's own root is not left behind it.
    shown = box.shell(SHOW).run().out
    assert len(lines(shown, "/")) == 1


def test_a_link_to_the_root_is_no_place_for_a_mount(box, root):
    (root / "data").symlink_to("/")
    box.spec["root"]["path"] = str(root)
    assert "it is the container's root" in tmpfs(box, target="/data").run().err


def test_nothing_covers_files_of_any_proc(box, root):
    """A second /proc, or the host's, is guarded as the first is."""
    (root / "data").symlink_to("/proc/sys")
    box.spec["root"]["path"] = str(root)
    box.spec["mounts"].append({"destination": "/other", "type": "proc", "source": "proc"})
    tmpfs(box, target="/data")
    assert "inside /proc" in box.run().err
    box.namespace("pid", "-")
    box.spec["mounts"][:] = [m for m in box.spec["mounts"] if m.get("type") != "proc"]
    box.spec["mounts"].insert(0, {"destination": "/proc", "source": "/proc", "options": ["rbind"]})
    assert "inside /proc" in box.run().err


def test_a_filled_tmpfs_can_be_read_only(box, root):
    (root / "data/deep").mkdir(parents=True)
    (root / "data/deep/file").write_text("x" * 3_000_000)
    os.mkfifo(root / "data/fifo")
    os.setxattr(root / "data/deep/file", "security.capability", CHOWN)
    box.spec["root"]["path"] = str(root)
    tmpfs(box, "tmpcopyup", "ro", target="/data")
    script = "wc -c < /data/deep/file; test -p /data/fifo && echo fifo; touch /data/x"
    result = box.shell(script).run()
    assert result.out.split() == ["3000000", "fifo"]
    assert "Read-only file system" in result.err
    box.spec["mounts"][-1]["options"].append("size=1m")
    assert "No space left on device" in box.run().err


def test_a_filled_tmpfs_has_the_mode_that_was_asked_for(box, root):
    """Podman's --tmpfs fills each."""
    (root / "data").mkdir()
    box.spec["root"]["path"] = str(root)
    tmpfs(box, "tmpcopyup", "mode=1770", "gid=7", target="/data")
    assert box.shell("stat -c '%a %u %g' /data").run().out == "1770 0 7\n"


# struct vfs_ns_cap_data, revision 2: CAP_CHOWN, permitted and effective.
CHOWN = bytes.fromhex("0100000201000000000000000000000000000000")


def peer_group(row):
    return next((word for word in row[6:] if word.startswith(("shared:", "master:"))), "")


@pytest.fixture
def shared(tmp_path, busybox_root):
    """The image's root as a shared mount of the host, and its peer group."""
    place = tmp_path / "shared"
    place.mkdir()
    subprocess.run(["mount", "--bind", busybox_root, place], check=True)
    subprocess.run(["mount", "--make-shared", place], check=True)
    shown = Path("/proc/self/mountinfo").read_text()
    group = peer_group(lines(shown, str(place))[-1])
    yield place, group.partition(":")[2]
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("word", ["shared", "rshared", "slave", "rslave", "private", "rprivate"])
def test_propagation_of_the_root(box, shared, word, separate):
    place, group = shared
    if separate:
        box.user_namespace()
    box.spec["root"]["path"] = str(place)
    box.spec["linux"]["rootfsPropagation"] = word
    bind(box, place, "rbind", "rslave")
    result = box.shell(SHOW).run()
    assert result.code == 0, result.err
    found = peer_group(lines(result.out, "/")[-1])
    if word.endswith("slave"):
        assert found == f"master:{group}"
    elif word.endswith("shared"):
        # A group of its own: what is mounted inside does not appear on the host.
        assert found.startswith("shared:")
        assert found != f"shared:{group}"
    else:
        assert found == ""
    # The mounts have what they were given.
    assert peer_group(lines(result.out, "/home")[-1]) == f"master:{group}"


@pytest.mark.parametrize("word", ["shared", "rshared", "slave", "rslave", "private", "unbindable"])
def test_propagation_of_a_bind(box, shared, word):
    place, group = shared
    box.spec["linux"]["rootfsPropagation"] = "rprivate"
    row = lines(bind(box, place, "rbind", word).shell(SHOW).run().out, "/home")[-1]
    if word.endswith("shared"):
        assert f"shared:{group}" in row
    elif word.endswith("slave"):
        assert f"master:{group}" in row
    else:
        assert peer_group(row) == ""
        assert ("unbindable" in row) == (word == "unbindable")


def test_an_unbindable_root(box):
    box.spec["linux"]["rootfsPropagation"] = "unbindable"
    assert "unbindable" in lines(box.shell(SHOW).run().out, "/")[-1]


def test_propagation_of_a_file_system(box):
    row = lines(tmpfs(box, "rshared").shell(SHOW).run().out, "/mnt")[-1]
    assert peer_group(row).startswith("shared:")
