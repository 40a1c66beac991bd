"""Directories that turn into links while the engine works in them.

CVE-2018-15664 and CVE-2019-14271 (copying to and from a container that runs), CVE-2021-30465 (a
mount point that another container moves). Here a container cannot be copied from; what remains is
the filling of a volume that another container has already, and mounts inside of volumes.
"""

import tarfile
from pathlib import Path

import pytest

from tests.system.escapes import vulnerable
from tests.system.escapes.conftest import Target

pytestmark = pytest.mark.root

# In a container that has the volume: as soon as something is in it, a directory and a link change
# places all the time, in one system call each.
SWAP = """
import time
os.chdir("/data")
os.mkdir("/tmp/held")
while not os.path.isdir("d"):
    if not os.path.isdir("."):
        break
os.symlink(OUTSIDE, "x")
print("swapping", flush=True)
while True:
    libc.syscall(316, -100, b"d", -100, b"x", 2)
"""


def _linked(count: int) -> dict[str, tarfile.TarInfo]:
    """A directory with a file, and one with many more names of that file and many pipes."""
    entries: dict[str, tarfile.TarInfo] = {}

    def add(name: str, kind: bytes, link: str = "") -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode = kind, link, 0o777
        entries[name] = info

    for name in ("data", "data/d", "data/e"):
        add(name, tarfile.DIRTYPE)
    add("data/d/victim", tarfile.REGTYPE)
    for number in range(count):
        add(f"data/e/{number}", tarfile.LNKTYPE, "data/d/victim")
    return entries


@pytest.fixture
def outside(target: Target) -> Path:
    # On the file system of the volumes, or nothing could be linked.
    place = target.host.root / "outside"
    place.mkdir(exist_ok=True)
    (place / "victim").write_text("the host's")
    (place / "victim").chmod(0o600)
    return place


def test_filling_a_volume_is_not_led_out(target: Target, outside: Path):
    image = target.image(_linked(1500))
    victim = outside / "victim"
    for number in range(3):
        volume = ("-v", f"raced{number}:/data")
        code = SWAP.replace("OUTSIDE", repr(str(outside)))
        attacker = target.start(*target.python_command(code, *volume))
        made = target.run(*volume, image, "true")
        assert victim.stat().st_nlink == 1, "the volume has a name of the host's file"
        assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("the host's", 0o600)
        assert [one.name for one in outside.iterdir()] == ["victim"]
        assert made.code in (0, 125), made
        target.host.remove(attacker)
        target.host.call("DELETE", f"/volumes/raced{number}")


# Mounted one after the other by path, the second over what the first one's link shows.
BY_PATH = """
mount --bind "$1/volume" "$1/root/vol" && mount --bind "$1/other" "$1/root/vol/d" &&
mount --bind "$1/sources/b" "$1/root/out" && ls "$1/root/out"
"""


def test_mounts_by_path_are_led_out(tmp_path: Path):
    for name in ("volume", "other", "root/vol", "root/out", "sources/b"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "volume/d").symlink_to(tmp_path / "sources")
    (tmp_path / "other/b").symlink_to("/")
    assert "boot" in vulnerable.by_path(BY_PATH, str(tmp_path)).split()


MOVE = """
os.makedirs("/vol/d", exist_ok=True)
os.symlink(OUTSIDE, "/vol/x")
print("swapping", flush=True)
while True:
    libc.syscall(316, -100, b"/vol/d", -100, b"/vol/x", 2)
"""


@pytest.mark.parametrize("place", ["/vol/d", "/vol/d/made"])
def test_mount_points_in_volumes_are_not_led_out(target: Target, tmp_path: Path, place: str):
    # CVE-2021-30465: what is mounted at /out next would be what the link had led to.
    (tmp_path / "sources/b").mkdir(parents=True)
    (tmp_path / "sources/b/true").touch()
    volume, other = ("-v", "moved:/vol"), ("-v", f"led:{place}")
    target.run(*other, "probe", "ln", "-s", "/", f"{place}/b")
    code = MOVE.replace("OUTSIDE", repr(str(tmp_path / "sources")))
    attacker = target.start(*target.python_command(code, *volume))
    target.host.until_output(attacker, "swapping")
    third = ("-v", f"{tmp_path}/sources/b:/out:ro")
    outcomes = set()
    for _ in range(8):
        for userns in ("private", "host"):
            made = target.run(*volume, *other, *third, "probe", "ls", "/out", userns=userns)
            # Refused where the link leads to nothing in the container's own root.
            assert made.code in (0, 125, 127), made
            outcomes.add(made.out)
    assert outcomes <= {"true\n", ""}
    assert "true\n" in outcomes
    assert [one.name for one in (tmp_path / "sources").iterdir()] == ["b"]
    assert [one.name for one in (tmp_path / "sources/b").iterdir()] == ["true"]
    target.host.remove(attacker)
    for name in ("moved", "led"):
        target.host.call("DELETE", f"/volumes/{name}")


def test_a_link_of_a_volume_is_no_way_to_mount_elsewhere(target: Target, tmp_path: Path):
    target.run("-v", "linked:/vol", "probe", "ln", "-s", str(tmp_path), "/vol/x")
    made = target.run(
        "-v", "linked:/vol", "-v", "second:/vol/x/inside", "probe", "ls", "-d", f"{tmp_path}/inside"
    )
    # In the container's own root, that is.
    assert made.out.strip() == f"{tmp_path}/inside", made
    assert list(tmp_path.iterdir()) == []
    for name in ("linked", "second"):
        target.host.call("DELETE", f"/volumes/{name}")


def test_parts_of_volumes_are_refused_by_name(target: Target):
    # A link in the volume would lead out (CVE-2017-1002101, CVE-2024-23651).
    mount = {"Type": "volume", "Source": "v", "Target": "/x", "VolumeOptions": {"Subpath": "a"}}
    body = {"Image": "probe", "Cmd": ["true"], "HostConfig": {"Mounts": [mount]}}
    with pytest.raises(Exception, match="volume-subpath of /x is not supported"):
        target.host.post("/containers/create", body)


def test_a_container_is_not_copied_from(target: Target):
    # CVE-2018-15664, CVE-2019-14271: until it can be done from within, it is not done.
    container = target.start("probe", "sleep", "100")
    for method in ("GET", "PUT"):
        with pytest.raises(Exception, match="not supported by this engine"):
            target.host.call(method, f"/containers/{container}/archive?path=/etc/passwd")
    target.host.remove(container)
