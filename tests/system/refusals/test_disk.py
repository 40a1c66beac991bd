"""A full disk: what is asked fails in one line, what runs goes on, and freeing is enough."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns]

SIZE = 24 << 20
GAP = 1 << 20


@pytest.fixture
def small(template: Path, empty_host: Callable[..., Any]) -> Iterator[Any]:
    """A host whose data root has room for little more than the busybox image."""
    one = empty_host()
    one.data.mkdir()
    options = f"size={SIZE},mode=755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(one.data)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{template}/.", str(one.data)], check=True)
        one.start()
        yield one
        assert "Traceback" not in one.log.read_text()
    finally:
        one.close_daemon()
        subprocess.run(["umount", "-l", str(one.data)], check=True)


def fill(host: Any, leave: int) -> Path:
    """Leave that many bytes of room."""
    filler: Path = host.data / "filler"
    state = os.statvfs(host.data)
    with filler.open("wb") as out:
        os.posix_fallocate(out.fileno(), 0, max(1, state.f_bavail * state.f_frsize - leave))
    return filler


def pack(host: Any, size: int) -> bytes:
    return bytes(host.tar({"Dockerfile": b"FROM busybox\n", "big": os.urandom(size)}))


FULL = r"no space left|No space left|disk is full"


def test_everything(small: Any, refused: Any) -> None:
    host = small
    gate = "while read x; do echo $x; done"
    host.run("sh", "-c", gate, name="talk", OpenStdin=True)
    host.run("sleep", "1000", name="quiet")
    archive = host.get("/images/busybox/get")
    images = host.get("/images/json")
    filler = fill(host, GAP)
    before = host.census.take()
    for path, body, query in (
        ("/images/load", host.image_of(4 << 20), {}),
        ("/images/create", pack(host, 4 << 20), {"fromSrc": "-", "repo": "x"}),
        ("/build", pack(host, 4 << 20), {}),
        ("/build", host.tar({"Dockerfile": FILLING}), {"nocache": 1}),
    ):
        with pytest.raises(refused, match=f"{FULL}|non-zero code: 1") as error:
            host.post(path, body, **query)
        assert error.value.status in (200, 500)
        assert "\n" not in error.value.message
        host.until(lambda: same(host, before), "nothing is left", 5.0)
    # A container that fills the disk by itself hears it, and is all that suffers.
    full = host.run("sh", "-c", "cat /dev/zero > /big; echo status $?", name="full")
    assert host.until_status(full, "exited")["ExitCode"] == 0
    assert "status 1" in host.output(full) or host.output(full) == ""
    assert host.state("quiet")["Running"]
    assert host.state("talk")["Running"]
    # Not one byte is left now: nothing can be made, and it is said.
    with pytest.raises(refused, match=FULL) as error:
        host.create("true")
    assert error.value.status == 500
    assert host.execute("quiet", "echo", "alive") == "alive\n"
    filler.unlink()
    host.remove(full)
    host.until(lambda: same(host, before), "nothing is left", 5.0)
    assert host.get("/images/json") == images
    host.post("/images/load", archive)
    host.remove(host.run("true"))
    assert host.leaks(mount={str(host.data)}) == []


FILLING = b"FROM busybox\nRUN cat /dev/zero > /big\n"


def same(host: Any, before: dict[str, set[str]]) -> bool:
    now = host.census.take()
    return all(now[kind] == before[kind] for kind in before)


def test_logs(small: Any) -> None:
    """What cannot be logged is lost; the container does not notice, and later lines are there."""
    fifo = small.root / "gate"
    fifo.mkdir(mode=0o755)
    os.mkfifo(fifo / "in")
    (fifo / "in").chmod(0o666)
    gate = os.open(fifo / "in", os.O_RDWR)
    script = "while read x; do echo $x; done < /gate/in"
    small.run("sh", "-c", script, name="one", host={"Binds": [f"{fifo}:/gate"]})
    os.write(gate, b"early\n")
    small.until_output("one", "early")
    filler = fill(small, 0)
    for number in range(40):
        os.write(gate, f"{number} {'x' * 1000}\n".encode())
    os.write(gate, b"touch\n")
    assert small.state("one")["Running"]
    assert small.execute("one", "echo", "alive") == "alive\n"
    filler.unlink()
    os.write(gate, b"late\n")
    output = small.until_output("one", "late")
    assert output.startswith("early\n")
    assert output.endswith("late\n")
    os.close(gate)


def test_the_daemon_is_killed_and_started_on_a_full_disk(small: Any) -> None:
    """It serves, and what runs can be stopped and removed, which frees the disk."""
    small.run("sleep", "1000", name="other")
    small.run("sh", "-c", "cat /dev/zero > /big; exec sleep 1000", name="full")
    small.until(lambda: os.statvfs(small.data).f_bavail == 0, "the disk is full")
    small.kill("daemon")
    small.start()
    assert small.state("other")["Running"]
    small.post("/containers/other/stop", t=0)
    small.remove("full")
    small.remove("other")
    small.remove(small.run("true"))
    assert small.leaks(mount={str(small.data)}) == []
