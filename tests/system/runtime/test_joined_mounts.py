"""A root in a mount namespace that is there already (config-linux, "namespaces", by path)."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

import pytest

from tests.system.runtime.conftest import PROGRAM, run
from tests.system.runtime.test_mount_options import bind

pytestmark = pytest.mark.root
HELPER = ("sh", "-c", "echo; exec cat")
INITIAL = 0xEFFFFFF8


class Namespace:
    """A mount namespace and the process that keeps it.

    Attributes:
        pid: of the process.
        path: of the namespace.
    """

    def __init__(self, propagation: str = "private", *, before: tuple[str, ...] = ()) -> None:
        command = (*before, "unshare", "--mount", "--propagation", propagation)
        self._keeper = subprocess.Popen(
            (*command, *HELPER), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        cast("IO[bytes]", self._keeper.stdout).readline()
        self.pid = self._keeper.pid
        self.path = f"/proc/{self.pid}/ns/mnt"

    def mounts(self) -> list[str]:
        """What is mounted where, and to whom it is passed on."""
        rows = [line.split() for line in self.file("mountinfo").splitlines()]
        return [" ".join((row[4], *row[6:])) for row in rows]

    def file(self, name: str) -> str:
        return Path(f"/proc/{self.pid}/{name}").read_text()

    def enter(self, *words: str) -> None:
        subprocess.run(("nsenter", f"--mount={self.path}", *words), check=True)

    def close(self) -> None:
        self._keeper.communicate()


@pytest.fixture
def make_namespace() -> Iterator[Callable[..., Namespace]]:
    made: list[Namespace] = []

    def make(*words: str, **options: Any) -> Namespace:
        made.append(Namespace(*words, **options))
        return made[-1]

    yield make
    for namespace in made:
        namespace.close()


@pytest.fixture
def other(make_namespace) -> Namespace:
    return make_namespace()


@pytest.mark.parametrize("words", [(), ("--no-pivot",)])
def test_the_container_is_in_the_namespace(box, other, tmp_path, words):
    (tmp_path / "file").write_text("content\n")
    bind(box.namespace("mount", other.path), tmp_path / "file", "bind", target="/etc/new/file")
    before = Path("/proc/self/mountinfo").read_text()
    namespace = Path(other.path).readlink()
    box.shell("exec sleep 1000").save()
    made = box.command("create", *words, "--bundle", str(box.bundle), box.id)
    assert made.code == 0, made.err
    assert box.command("start", box.id).code == 0
    assert Path(f"/proc/{box.pid()}/ns/mnt").readlink() == namespace
    script = "cat /etc/new/file; ls /proc/1/exe /dev/null /dev/pts/ptmx; wc -c < /proc/keys"
    result = box.command("exec", box.id, "sh", "-c", script)
    assert result.out.split() == ["content", "/dev/null", "/dev/pts/ptmx", "/proc/1/exe", "0"]
    # The process that was there before has the new root too, but for one that was not moved.
    assert Path(f"/proc/{other.pid}/root/bin/busybox").exists() or words
    assert not any(str(box.root) in line.split()[0] for line in other.mounts())
    assert box.command("delete", "--force", box.id).code == 0
    assert Path("/proc/self/mountinfo").read_text() == before


@pytest.mark.parametrize("words", [(), ("--no-pivot",)])
def test_nothing_reaches_those_whom_its_mounts_are_shared_with(box, make_namespace, words):
    """A pivot and the end of the old root would take the host's mounts along."""
    host = make_namespace("shared")
    # So the place of the stage is not on the mount of the root, and both count.
    host.enter("mount", "--bind", str(box.root), str(box.root))
    # Without a pivot this /proc is taken out of the namespace.
    host.enter("mount", "-t", "tmpfs", "none", str(box.bundle))
    host.enter("mkdir", str(box.bundle / "proc"))
    host.enter("mount", "-t", "proc", "proc", str(box.bundle / "proc"))
    before = host.mounts()
    assert all("shared:" in line for line in before)
    other = make_namespace("unchanged", before=("nsenter", f"--mount={host.path}"))
    assert other.mounts() == before
    result = box.namespace("mount", other.path).shell("ls /bin/busybox").run(*words)
    assert result.out == "/bin/busybox\n", result.err
    assert host.mounts() == before
    assert other.mounts() != before
    assert not any(line.startswith(f"{box.bundle}/proc ") for line in other.mounts())


@pytest.mark.parametrize("kind", ["mount", "hook", "root"])
@pytest.mark.parametrize("propagation", ["private", "unchanged"])
def test_a_failure_leaves_the_namespace_as_it_was(box, make_namespace, kind, propagation):
    host = make_namespace("shared")
    shared = host.mounts()
    other = make_namespace(propagation, before=("nsenter", f"--mount={host.path}"))
    before = [line.split()[0] for line in other.mounts()]
    if kind == "mount":
        entry = {"destination": "/mnt", "type": "tmpfs", "source": "x", "options": ["size=much"]}
        box.spec["mounts"].append(entry)
    elif kind == "hook":
        box.spec["hooks"] = {"createContainer": [{"path": "/bin/false"}]}
    else:
        # The first mount over the stage is there by then.
        box.spec["mounts"].insert(0, {"destination": "/", "type": "tmpfs", "source": "x"})
        box.spec["mounts"].append({"destination": "/mnt", "type": "boxship", "source": "x"})
    result = box.namespace("mount", other.path).run()
    assert result.code == 1
    assert {"mount": "tmpfs at /mnt", "hook": "hook", "root": "boxship at /mnt"}[kind] in result.err
    after = other.mounts()
    assert [line.split()[0] for line in after] == before
    # One mount, that of the stage's place, does not pass on any more.
    assert len([line for line in after if "shared:" in line]) >= len(shared) - 1 or (
        propagation == "private"
    )
    assert host.mounts() == shared


def test_a_move_that_fails_takes_the_root_away_again(box, other):
    """A /proc below another mount can be neither taken out nor covered."""
    place = str(box.bundle / "proc")
    Path(place).mkdir()
    other.enter("mount", "-t", "proc", "proc", place)
    other.enter("mount", "-t", "tmpfs", "none", str(box.bundle))
    result = box.namespace("mount", other.path).run("--no-pivot")
    assert result.code == 1
    assert f"cannot keep the host's {place} from the container" in result.err
    roots = [line.split()[0] for line in other.mounts()]
    assert roots.count("/") == 1
    assert str(box.root) not in roots


def test_hooks_find_the_root_in_the_namespace(box, other, tmp_path):
    name = tmp_path / "seen"
    script = f"readlink /proc/self/ns/mnt > {name}; ls {box.root}/proc/self/exe >> {name}"
    box.spec["hooks"] = {"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}
    expected = [str(Path(other.path).readlink()), f"{box.root}/proc/self/exe"]
    result = box.namespace("mount", other.path).run()
    assert result.code == 0, result.err
    assert name.read_text().split() == expected


def test_with_the_user_namespace_that_owns_it(box, make_box, make_namespace):
    box.user_namespace().shell("exec sleep 1000").start()
    user = f"/proc/{box.pid()}/ns/user"
    other = make_namespace(before=("nsenter", f"--user={user}"))
    second = make_box()
    second.user_namespace().namespace("user", user).namespace("mount", other.path)
    expected = Path(other.path).readlink()
    result = second.shell("readlink /proc/self/ns/mnt; cat /proc/self/uid_map").run()
    assert result.out.split() == [str(expected), "0", "300000", "65536"], result.err


def test_a_user_namespace_without_rights_over_it(box, make_box, other):
    box.user_namespace().shell("exec sleep 1000").start()
    second = make_box()
    second.user_namespace().namespace("user", f"/proc/{box.pid()}/ns/user")
    before = other.mounts()
    result = second.namespace("mount", other.path).run()
    assert result.code == 1
    assert f"cannot enter the mount namespace {other.path}: Operation not permitted" in result.err
    assert other.mounts() == before


def test_the_bundle_must_be_seen_there(box, other):
    for place in (box.root, box.bundle.parent):
        other.enter("mount", "-t", "tmpfs", "none", str(place.parent))
    before = other.mounts()
    result = box.namespace("mount", other.path).run()
    assert result.code == 1
    assert f"mount namespace {other.path} has no directory {box.bundle}" in result.err
    assert other.mounts() == before


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/proc/self/ns/mnt", "/proc/self/ns/mnt is the runtime's own mount namespace"),
        ("/proc/self/ns/net", "/proc/self/ns/net is not a mount namespace"),
        ("/etc/passwd", "/etc/passwd is not a mount namespace"),
        ("/no/such", "/no/such: No such file or directory"),
    ],
)
def test_what_is_not_joined(box, path, text):
    result = box.namespace("mount", path).run()
    assert result.code == 1
    assert text in result.err


def test_the_machines_first_namespace(box):
    """Named from another one, in which the runtime runs."""
    box.namespace("mount", f"/proc/{os.getpid()}/ns/mnt").save()
    first = Path("/proc/self/ns/mnt").stat()
    if first.st_ino != INITIAL and not readable_init(first):
        pytest.skip("these tests run in another mount namespace than the machine's first process")
    words = (*PROGRAM, "--root", str(box.state), "run", "--bundle", str(box.bundle), box.id)
    result = run("unshare", "--mount", *words)
    assert result.code == 1
    assert "is the host's mount namespace" in result.err


def readable_init(own: os.stat_result) -> bool:
    try:
        return Path("/proc/1/ns/mnt").stat().st_ino == own.st_ino
    except PermissionError:
        return False


def test_a_new_user_namespace_cannot_join(box, other):
    result = box.user_namespace().namespace("mount", other.path).run()
    assert result.code == 1
    assert "a new user namespace has no rights over a joined mount namespace" in result.err
