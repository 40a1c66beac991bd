"""`boxship-runtime` run by an ordinary user: another uid, no capability, a plain interpreter.

The source is copied to where everybody can read it, since a checkout may lie in root's home.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from boxship.runtime.oci.rootless_spec import make_rootless
from boxship.runtime.spec.generate import SpecOptions, generate_spec

BUSYBOX = "/bin/busybox"
PYTHON = "/usr/bin/python3"
UID, GID = 61_234, 61_235
SUBORDINATE = 700_000
NAME = "boxshipuser"
SOURCE = Path(__file__).parents[3] / "src/boxship"
PROGRAM = """
import sys
sys.path.insert(0, {source!r})
from boxship.coldstart import run
run("boxship-runtime", "boxship.runtime.oci.cli")
"""
_ids = itertools.count(1)


class Result(NamedTuple):
    """How a program ended."""

    code: int
    out: str
    err: str


class User:
    """An ordinary user with a place of its own.

    Attributes:
        home: directory that it owns.
        state: runtime directory of its session.
        prefix: program and options that make the rest of a command line run as the user.
    """

    def __init__(self, place: Path, program: Path) -> None:
        self.home = place / "home"
        self.state = place / "run"
        for path in (self.home, self.state):
            path.mkdir(mode=0o700)
            os.chown(path, UID, GID)
        self.program = program
        self.prefix = [
            *("setpriv", "--reuid", str(UID), "--regid", str(GID), "--clear-groups"),
            *("--inh-caps=-all", "--"),
        ]

    def subordinate(self) -> None:
        """Give it an account and a range of ids, in a mount namespace: the host has no trace."""
        etc = self.home.parent / "etc"
        etc.mkdir()
        lines = [f"{NAME}:x:{UID}:{GID}::/:/bin/sh", f"{NAME}:{SUBORDINATE}:65536"]
        (etc / "passwd").write_text(Path("/etc/passwd").read_text() + lines[0] + "\n")
        (etc / "subuid").write_text(lines[1] + "\n")
        (etc / "subgid").write_text(lines[1] + "\n")
        # Targets of a bind have to be there; package uidmap needs not have made them.
        over = "mount --bind $0 /etc/overlaid && "
        script = "".join(
            over.replace("$0", str(etc / name)).replace("/etc/overlaid", f"/etc/{name}")
            for name in ("passwd", "subuid", "subgid")
        )
        inner = ["unshare", "--mount", "sh", "-c", script + 'exec "$@"', "sh"]
        self.prefix = [*inner, *self.prefix]

    def run(self, *words: str, environment: dict[str, str] | None = None) -> Result:
        """Run a program as the user, with files as output: a pipe stays open with a container."""
        variables = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(self.state)}
        variables.update(environment or {})
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(
                [*self.prefix, *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=self.home,
                env=variables,
                timeout=60,
                check=False,
            )
            out.seek(0)
            err.seek(0)
            return Result(done.returncode, out.read(), err.read())

    def runtime(self, *words: str, **options: Any) -> Result:
        """Run `boxship-runtime`."""
        return self.run(PYTHON, "-I", str(self.program), *words, **options)


class Box:
    """A bundle of the user and the container made from it."""

    def __init__(self, user: User, root: Path) -> None:
        self.user = user
        self.id = f"boxship-rootless-{os.getpid()}-{next(_ids)}"
        self.bundle = user.home / self.id
        self.bundle.mkdir()
        os.chown(self.bundle, UID, GID)
        path = "PATH=/bin"
        options = SpecOptions(argv=("true",), env=(path,), root=str(root), hostname="box")
        self.spec: dict[str, Any] = make_rootless(generate_spec(options), UID, GID)

    @property
    def process(self) -> dict[str, Any]:
        return self.spec["process"]

    @property
    def linux(self) -> dict[str, Any]:
        return self.spec["linux"]

    def shell(self, script: str) -> "Box":
        self.process["args"] = ["sh", "-c", script]
        return self

    def ranges(self) -> "Box":
        """Map the user to root and its subordinate ids behind it."""
        for key, own in (("uidMappings", UID), ("gidMappings", GID)):
            self.linux[key] = [
                {"containerID": 0, "hostID": own, "size": 1},
                {"containerID": 1, "hostID": SUBORDINATE, "size": 65_535},
            ]
        return self

    def save(self) -> None:
        (self.bundle / "config.json").write_text(json.dumps(self.spec))

    def run(self, *options: str) -> Result:
        self.save()
        return self.user.runtime("run", "--bundle", str(self.bundle), *options, self.id)

    def create(self) -> None:
        self.save()
        made = self.user.runtime("create", "--bundle", str(self.bundle), self.id)
        assert made.code == 0, made.err

    def start(self) -> None:
        self.create()
        started = self.user.runtime("start", self.id)
        assert started.code == 0, started.err

    def state(self) -> dict[str, Any]:
        return json.loads(self.user.runtime("state", self.id).out)

    def execute(self, *words: str) -> Result:
        return self.user.runtime("exec", self.id, *words)


@pytest.fixture(scope="session")
def place():
    """A directory that everybody can pass through, with a busybox root and the program in it."""
    for needed in (BUSYBOX, PYTHON):
        if not Path(needed).exists():
            pytest.skip(f"needs {needed}")
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv")
    place = Path(tempfile.mkdtemp(prefix="boxship-rootless-", dir="/tmp"))
    place.chmod(0o755)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SOURCE, place / "src/boxship", ignore=ignored)
    program = place / "boxship-runtime"
    program.write_text(PROGRAM.format(source=str(place / "src")))
    for path in (place, *place.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for name in ("bin", "etc", "tmp", "proc", "sys", "dev"):
        (place / "root" / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, place / "root/bin/busybox")
    listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    for applet in set(listed.stdout.split()) - {"busybox"}:
        (place / "root/bin" / applet).symlink_to("busybox")
    (place / "root/etc/passwd").write_text("root:x:0:0::/:\nweb:x:1000:1000::/:\n")
    (place / "root/tmp").chmod(0o1777)
    for path in (place / "root", *(place / "root").rglob("*")):
        os.chown(path, UID, GID, follow_symlinks=False)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def user(place, tmp_path_factory) -> User:
    own = place / f"user{next(_ids)}"
    own.mkdir(mode=0o755)
    own.chmod(0o755)
    return User(own, place / "boxship-runtime")


@pytest.fixture
def rich_user(user) -> User:
    """A user with subordinate ids."""
    if shutil.which("newuidmap") is None or not Path("/etc/subuid").exists():
        pytest.skip("needs newuidmap (package uidmap)")
    user.subordinate()
    return user


@pytest.fixture
def make_box(place):
    made: list[Box] = []

    def make(owner: User) -> Box:
        made.append(Box(owner, place / "root"))
        return made[-1]

    yield make
    for box in made:
        box.user.runtime("delete", "--force", box.id)


@pytest.fixture
def box(make_box, user) -> Box:
    return make_box(user)


def share_library(place: Path) -> bool:
    """Whether the plain interpreter can have the library that `spec` needs."""
    target = place / "src/msgspec"
    if not target.exists():
        shutil.copytree(Path(msgspec.__file__).parent, target)
        for path in (target, *target.rglob("*")):
            path.chmod(0o755)
    return sys.version_info[:2] == _version()


def _version() -> tuple[int, int]:
    words = [PYTHON, "-c", "import sys; print(*sys.version_info[:2])"]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    major, minor = text.split()
    return int(major), int(minor)
