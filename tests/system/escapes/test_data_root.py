"""What other users of the host, and other containers, can read of the engine's files."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.escapes.conftest import Target, host_module

pytestmark = pytest.mark.root

NOBODY = 65534


def _as(uid: int, work: Callable[[], object]) -> bool:
    """Whether a call succeeds for a user who is in no group."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            work()
            code = 0
        except OSError:
            pass
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def test_set_user_id_programs_of_containers_are_out_of_reach(target: Target):
    # CVE-2021-41091: root in a user namespace owns files that belong to the host's root on disk.
    script = "cat /bin/busybox > /evil; chmod 4755 /evil /data; touch /data/x"
    made = target.boxship(
        "run", "--name", "setter", "-v", "held:/data", "probe", "sh", "-c", script
    )
    assert made.code == 0, made.err
    evil = next(target.host.data.glob("snapshots/active/*/fs/evil"))
    found = evil.stat()
    assert (found.st_uid, bool(found.st_mode & stat.S_ISUID)) == (0, True)
    held = target.host.data / "volumes/held/_data/x"
    assert held.exists()
    assert not _as(NOBODY, evil.read_bytes)
    assert not _as(NOBODY, held.read_bytes)
    target.host.remove("setter")
    target.host.call("DELETE", "/volumes/held")


def test_nothing_but_the_socket_is_open_to_other_users(target: Target):
    container = target.start("-e", "SECRET=1", "probe", "sleep", "100")
    container_id = target.host.inspect(container)["Id"]
    # From the range that the container's processes have on the host, too.
    for uid in (NOBODY, 1000, 0x10000000, 0x10000000 + 1000):
        for path in (
            target.host.data / "boxship.db",
            target.host.data / f"containers/{container_id}/hosts",
            target.host.data / "content",
            target.host.data / "snapshots",
            target.host.exec / f"bundles/{container_id}/config.json",
            target.host.exec / "keeper",
        ):
            assert path.exists()
            assert not _as(uid, lambda path=path: _read(path)), path
        assert not _as(uid, lambda: _connect(target.host.exec / "boxship.sock"))
        assert not _as(uid, lambda: _connect(target.host.exec / "keeper.sock", packets=True))
    target.host.remove(container)


def _read(path: Path) -> None:
    if path.is_dir():
        next(path.iterdir())
    path.read_bytes()


def _connect(path: Path, *, packets: bool = False) -> None:
    kind = socket.SOCK_SEQPACKET if packets else socket.SOCK_STREAM
    with socket.socket(socket.AF_UNIX, kind) as connection:
        connection.connect(str(path))


def test_containers_have_host_ids_of_their_own(target: Target):
    one = target.start("probe", "sleep", "100")
    two = target.start("probe", "sleep", "100")
    maps = []
    for container in (one, two):
        pid = target.host.inspect(container)["State"]["Pid"]
        inside, outside, count = Path(f"/proc/{pid}/uid_map").read_text().split()
        assert (inside, count) == ("0", "65536")
        maps.append(int(outside))
        assert Path(f"/proc/{pid}").stat().st_uid == int(outside)
    assert abs(maps[0] - maps[1]) >= 65536
    assert min(maps) > 1 << 20
    for container in (one, two):
        target.host.remove(container)


def test_daemons_have_host_ids_of_their_own(target: Target, tmp_path: Path):
    # What the kernel counts by user, one daemon's containers would use up for another's.
    other = Target(host_module.Host(tmp_path / "host"))
    try:
        other.host.start()
        image = other.image()
        bases = []
        for one, name in ((target, "probe"), (other, image)):
            mapped = one.run(name, "cat", "/proc/self/uid_map").out.split()
            bases.append(int(mapped[1]) - 0x10000000)
        assert bases[0] // (256 * 65536) != bases[1] // (256 * 65536)
    finally:
        other.host.close()


def test_layers_of_others_are_not_reachable_through_the_mounts(target: Target):
    code = """
import re
options = open("/proc/self/mountinfo").read()
for place in re.findall(r"(?:lowerdir|upperdir|workdir)=([^,\\\\s:]+)", options):
    for start in ("", "/", "/proc/1/root/", "/proc/self/cwd/", "/../"):
        answer = attempt(os.stat, start + place)
        if answer != "ENOENT":
            print(start + place, answer)
"""
    for userns in ("private", "host"):
        result = target.python(code, userns=userns)
        assert (result.code, result.out) == (0, ""), result.err
