"""Device nodes of a container (OCI runtime spec, config-linux, "Devices")."""

import os
import stat

import pytest

pytestmark = pytest.mark.root


def add(box, path, kind="c", numbers=(1, 5), **more):
    entry = {"path": path, "type": kind, **more}
    if kind != "p":
        entry["major"], entry["minor"] = numbers
    box.spec["linux"].setdefault("devices", []).append(entry)
    return box


def separated(box, root):
    """Give it a user namespace, whose root owns the image's root."""
    box.user_namespace()
    for path in (root, root / "dev"):
        os.chown(path, 300_000, 300_000)


def without_dev(box, root):
    """Let /dev be the image's own, as an image with device nodes needs it."""
    box.spec["root"]["path"] = str(root)
    mounts = box.spec["mounts"]
    mounts[:] = [entry for entry in mounts if not entry["destination"].startswith("/dev")]
    return box


@pytest.mark.parametrize("separate", [False, True])
def test_owner_mode_and_numbers_are_those_asked_for(box, root, separate):
    if separate:
        separated(box, root)
    box.spec["root"]["path"] = str(root)
    (root / "link").symlink_to("/new/place")
    # The host has no 1:5 block device, and the null device with another mode and owner.
    add(box, "/dev/foo", "b", (1, 5), uid=10, gid=11, fileMode=0o640)
    add(box, "/dev/null", "c", (1, 3), fileMode=0o606, gid=5)
    add(box, "/dev/set", "u", (1, 5), fileMode=0o4711)
    add(box, "/dev/pipe", "p", uid=1, gid=2, fileMode=0o660)
    add(box, "/dev/plain")
    add(box, "/link/deep/zero/")
    script = (
        "stat -c '%F %a %u:%g %t:%T' /dev/foo /dev/null /dev/set /dev/pipe /dev/plain"
        " /new/place/deep/zero; head -c 3 /link/deep/zero | wc -c"
    )
    result = box.shell(script).run()
    assert result.out.splitlines() == [
        "block special file 640 10:11 1:5",
        "character special file 606 0:5 1:3",
        "character special file 4711 0:0 1:5",
        "fifo 660 1:2 0:0",
        "character special file 666 0:0 1:5",
        "character special file 666 0:0 1:5",
        "3",
    ], result.err


def test_bound_nodes_run_nothing(box):
    box.user_namespace()
    add(box, "/dev/mine")
    shown = box.shell("grep /dev/ /proc/self/mountinfo").run().out
    for name in ("null", "zero", "full", "tty", "random", "urandom", "mine"):
        row = next(line.split() for line in shown.splitlines() if line.split()[4] == f"/dev/{name}")
        assert {"nosuid", "noexec"} <= set(row[5].split(","))
        assert "nodev" not in row[5]


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("kind", ["file", "directory", "link", "device", "fifo"])
def test_something_else_in_the_place_of_a_device_is_an_error(box, root, kind, separate):
    place = root / "node"
    if kind == "file":
        place.write_text("content")
    elif kind == "directory":
        place.mkdir()
    elif kind == "link":
        # The very device, by a link that the image could change.
        place.symlink_to("/dev/zero")
    elif kind == "device":
        os.mknod(place, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    else:
        os.mkfifo(place)
    if separate:
        separated(box, root)
    box.spec["root"]["path"] = str(root)
    result = add(box, "/node").run()
    assert result.code == 1
    assert "cannot make device /node: something else is there" in result.err


@pytest.mark.parametrize("separate", [False, True])
def test_what_an_earlier_start_has_left_is_used_again(box, root, separate):
    os.mknod(root / "same", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    (root / "empty").touch()
    without_dev(box, root)
    add(add(box, "/same"), "/empty")
    box.shell("head -c 2 /same /empty | wc -c; test -c /dev/null")
    if separate:
        separated(box, root)
        (root / "same").chmod(0o666)
    for _ in range(2):
        result = box.run()
        assert result.code == 0, result.err


@pytest.mark.parametrize("place", ["/outside", "/home"])
def test_a_link_of_the_image_is_no_dev(box, root, place):
    (root / "dev").rmdir()
    (root / "dev").symlink_to(place)
    assert "/dev of the image is no directory" in without_dev(box, root).run().err


@pytest.mark.parametrize(
    ("device", "text"),
    [
        ({"path": "/dev/x", "type": "x"}, "invalid device '/dev/x' of type 'x'"),
        ({"path": "/", "type": "c"}, "invalid device '/'"),
        ({"path": "/dev/x", "type": "c", "major": 1, "minor": 5, "uid": 65536}, "65536 is not map"),
    ],
)
def test_devices_that_make_no_sense(box, device, text):
    box.user_namespace().spec["linux"]["devices"] = [device]
    result = box.run()
    assert result.code == 1
    assert text in result.err


def test_a_dev_of_the_host_gets_nothing_but_what_is_elsewhere_does(box):
    box.spec["mounts"] = [
        {"destination": "/proc", "type": "proc"},
        {"destination": "/dev", "source": "/dev", "options": ["rbind", "rprivate"]},
        {"destination": "/mnt", "type": "tmpfs"},
    ]
    add(add(box, "/mnt/zero"), "/dev/boxship-nosuch")
    result = box.shell("test -e /dev/boxship-nosuch || head -c 3 /mnt/zero | wc -c").run()
    assert result.out.strip() == "3", result.err


def test_a_later_mount_over_dev_hides_the_devices(box):
    """Mounts come before devices, whatever their order in the document."""
    box.spec["mounts"].append({"destination": "/dev", "type": "tmpfs", "options": ["mode=700"]})
    result = box.shell("stat -c %a /dev; head -c 1 /dev/zero | wc -c; readlink /dev/ptmx").run()
    assert result.out.split() == ["700", "1", "pts/ptmx"], result.err


@pytest.mark.parametrize("numbers", [(4097, 3), (1, 1 << 20), (-1, 3), (1 << 40, 0)])
def test_numbers_that_mknod_would_cut_off_are_refused(box, numbers):
    result = add(box, "/dev/odd", "c", numbers).run()
    assert result.code == 1
    assert f"device /dev/odd has the numbers {numbers[0]}:{numbers[1]}" in result.err
