"""Containers from a busybox root, made by the command line or by spawn in its own process."""

import copy
import itertools
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest

from boxship.runtime.cgroups import detect, open_cgroup
from boxship.runtime.spec.generate import SpecOptions, generate_spec

pytestmark = pytest.mark.root
BUSYBOX = "/bin/busybox"
PROGRAM = (sys.executable, "-m", "boxship.runtime")
DRIVER = Path(__file__).with_name("driver.py")
ENVIRONMENT = ("PATH=/bin", "TERM=xterm")
_ids = itertools.count(1)


class Result(NamedTuple):
    """How a program ended."""

    code: int
    out: str
    err: str


class Box:
    """One bundle and the container made from it.

    Attributes:
        id: container id.
        spec: the document; change it before the container is made.
        bundle: directory of the bundle.
        root: root directory of the container.
    """

    def __init__(self, directory: Path, root: Path, number: int) -> None:
        self.id = f"boxship-a{os.getpid()}-{number}"
        self.bundle = directory / f"bundle{number}"
        self.bundle.mkdir()
        self.root = root
        self.state = directory / "state"
        options = SpecOptions(
            argv=("true",), env=ENVIRONMENT, root=str(root), cgroup=f"/boxship/{self.id}"
        )
        self.spec: dict[str, Any] = copy.deepcopy(generate_spec(options))

    @property
    def process(self) -> dict[str, Any]:
        return self.spec["process"]

    def shell(self, script: str) -> "Box":
        """Have the container run a script."""
        self.process["args"] = ["sh", "-c", script]
        return self

    def namespace(self, kind: str, path: str = "") -> "Box":
        """Replace a namespace of the spec; `-` shares the host's."""
        entries = self.spec["linux"]["namespaces"]
        entries[:] = [entry for entry in entries if entry["type"] != kind]
        if path != "-":
            entries.append({"type": kind, "path": path} if path else {"type": kind})
        return self

    def user_namespace(self, base: int = 300_000) -> "Box":
        """Give it a user namespace of its own."""
        self.namespace("user")
        ids = [{"containerID": 0, "hostID": base, "size": 65536}]
        self.spec["linux"].update(uidMappings=ids, gidMappings=ids)
        # The range must be mapped.
        self.spec["linux"]["sysctl"]["net.ipv4.ping_group_range"] = "0 65535"
        return self

    def save(self) -> None:
        (self.bundle / "config.json").write_text(json.dumps(self.spec))

    def command(self, *words: str, root: bool = True, **options: Any) -> Result:
        """Run `boxship-runtime`."""
        place = ("--root", str(self.state)) if root else ()
        return run(*PROGRAM, *place, *words, **options)

    def run(self, *options: str) -> Result:
        """Run the container to its end."""
        self.save()
        return self.command("run", "--bundle", str(self.bundle), *options, self.id)

    def start(self) -> None:
        """Start it in the background; its output is lost."""
        self.save()
        made = self.command("create", "--bundle", str(self.bundle), self.id)
        assert made.code == 0, made.err
        started = self.command("start", self.id)
        assert started.code == 0, started.err

    def status(self) -> str:
        return json.loads(self.command("state", self.id).out)["status"]

    def pid(self) -> int:
        return json.loads(self.command("state", self.id).out)["pid"]

    def spawn(self, **request: Any) -> dict[str, Any]:
        """Have a single-threaded process call spawn(); its answer."""
        document = {"id": self.id, "bundle": str(self.bundle), "spec": self.spec, **request}
        done = run(sys.executable, str(DRIVER), input=json.dumps(document))
        assert done.code == 0, done.err
        return {**json.loads(done.err.splitlines()[-1]), "out": done.out, "err": done.err}

    def clean(self) -> None:
        self.command("delete", "--force", self.id)
        group = open_cgroup(detect(), f"/boxship/{self.id}")
        group.kill()
        group.remove()


def _memory(name: str) -> IO[str]:
    return os.fdopen(os.memfd_create(name), "r+", newline="")


def run(*words: str, **options: Any) -> Result:
    """Run a program with files as output: a pipe would stay open as long as a container."""
    with _memory("out") as out, _memory("err") as err:
        stdin = {} if "input" in options else {"stdin": subprocess.DEVNULL}
        done = subprocess.run(
            words, stdout=out, stderr=err, check=False, text=True, timeout=30, **stdin, **options
        )
        out.seek(0)
        err.seek(0)
        return Result(done.returncode, out.read(), err.read())


@pytest.fixture(scope="session")
def busybox_root(tmp_path_factory) -> Path:
    if not Path(BUSYBOX).exists():
        pytest.skip("needs busybox-static")
    root = tmp_path_factory.mktemp("busybox")
    # With the places that mounts go to: root of a user namespace may not make them.
    for name in ("bin", "etc", "tmp", "root", "home/web", "proc", "sys", "dev", "mnt"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    # The directories above are the test session's own, 0700; /tmp may be the one after them.
    for parent in (root, *root.parents[:3]):
        parent.chmod(stat.S_IMODE(parent.stat().st_mode) | 0o755)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    for applet in listed.stdout.split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0::/root:\nweb:x:1000:1000::/home/web:\n")
    (root / "etc/group").write_text("root:x:0:\nweb:x:1000:\ndisk:x:6:web\n")
    return root


@pytest.fixture
def root(busybox_root, tmp_path) -> Path:
    """A root of one's own: hard links to the shared one's files."""
    copied = tmp_path / "root"
    shutil.copytree(busybox_root, copied, symlinks=True, copy_function=os.link)
    return copied


@pytest.fixture
def make_box(tmp_path, busybox_root):
    """Make boxes; they are deleted after the test."""
    made: list[Box] = []

    def make(root: Path = busybox_root) -> Box:
        made.append(Box(tmp_path, root, next(_ids)))
        return made[-1]

    yield make
    for box in made:
        box.clean()


@pytest.fixture
def box(make_box) -> Box:
    return make_box()
