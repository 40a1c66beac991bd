"""One daemon to attack: hostile images for it, and programs that try things from within."""

import importlib.util
import io
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

BUSYBOX = Path("/bin/busybox")
# With both, an attack that the user namespace stops as well is told from one that it alone stops.
USER_NAMESPACES = ("private", "host")
_APPLETS = (
    *("sh", "cat", "ls", "id", "true", "sleep", "echo", "mount", "umount", "nc", "head", "find"),
    *(
        "mknod",
        "chmod",
        "yes",
        "touch",
        "readlink",
        "wget",
        "nslookup",
        "stat",
        "ping",
        "grep",
        "mkdir",
        "mv",
        "rm",
        "ln",
    ),
)
_PRELUDE = """
import ctypes, errno, os, stat, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    done = libc.syscall(number, *arguments)
    return "done" if done >= 0 else errno.errorcode[ctypes.get_errno()]
def attempt(function, *arguments):
    try:
        function(*arguments)
    except OSError as failure:
        return errno.errorcode[failure.errno]
    return "done"
"""


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"escapes_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


host_module = _load(Path(__file__).parents[1] / "crash/host.py")


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Link(NamedTuple):
    """A symbolic link in an image."""

    target: str


class Target:
    """The daemon under attack, and what attackers need."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self._images = 0

    def boxship(self, *words: str, **options: Any) -> Result:
        done = self.host.cli(*words, **options)
        return Result(done.returncode, done.stdout, done.stderr)

    def run(self, *words: str, userns: str = "private") -> Result:
        """`boxship run --rm`."""
        return self.boxship("run", "--rm", "--userns", userns, *words)

    def image(self, entries: dict[str, Any] | None = None, *, tail: bytes = b"") -> str:
        """An image of busybox with more or other entries: bytes, Link, TarInfo, None to omit."""
        self._images += 1
        name = f"hostile{self._images}"
        path = self.host.root / f"{name}.tar"
        path.write_bytes(archive(entries or {}) + tail)
        made = self.boxship("import", str(path), name)
        path.unlink()
        assert made.code == 0, made.err
        return name

    def build(
        self, dockerfile: str, files: dict[str, Any] | None = None, *, tag: str = "", cache: int = 1
    ) -> Result:
        """A build through the API, which spares a program's start; code 1 and its error, or 0."""
        context = self.host.tar({**(files or {}), "Dockerfile": dockerfile.encode()})
        try:
            self.host.call("POST", "/build", context, t=tag, nocache=1 - cache)
        except host_module.Refused as refused:
            return Result(1, "", refused.message)
        return Result(0, "", "")

    def python(self, code: str, *options: str, userns: str = "private") -> Result:
        """Run a program as root in a container, with call() and attempt() at hand."""
        return self.run(*self.python_command(code, *options), userns=userns)

    def python_command(self, code: str, *options: str) -> tuple[str, ...]:
        places = dict.fromkeys(("/usr", sys.base_prefix))
        mounts = [word for place in places for word in ("-v", f"{place}:{place}:ro")]
        program = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        return (*mounts, *options, "probe", program, "-I", "-S", "-c", _PRELUDE + code)

    def start(self, *words: str, userns: str = "private") -> str:
        made = self.boxship("run", "-d", "--userns", userns, *words)
        assert made.code == 0, made.err
        return made.out.strip()


def archive(entries: dict[str, Any]) -> bytes:
    """A root file system as tar, in the order given; busybox and its directories come first."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("bin", "etc", "tmp", "usr", "root"):
            if name not in entries:
                info = tarfile.TarInfo(name)
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
        _add(tar, "bin/busybox", BUSYBOX.read_bytes())
        for applet in _APPLETS:
            _add(tar, f"bin/{applet}", Link("busybox"))
        for name, content in entries.items():
            if content is not None:
                _add(tar, name, content)
    return out.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: Any) -> None:
    info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
    if isinstance(content, Link):
        info.type, info.linkname = tarfile.SYMTYPE, content.target
    data = content if isinstance(content, bytes) else b""
    if isinstance(content, bytes):
        info.mode, info.size = 0o755, len(data)
    tar.addfile(info, io.BytesIO(data))


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    if os.geteuid() != 0 or not BUSYBOX.exists():
        pytest.skip("needs root and busybox-static")
    host = host_module.Host(tmp_path_factory.mktemp("escapes") / "host")
    for parent in host.root.parents[:3]:
        # For the attacks of other users of the host.
        parent.chmod(0o755)
    try:
        host.start()
        one = Target(host)
        links = {"lib": Link("usr/lib"), "lib64": Link("usr/lib64")}
        passwd = {"etc/passwd": b"root:x:0:0::/root:/bin/sh\nweb:x:1000:1000::/tmp:/bin/sh\n"}
        path = host.root / "probe.tar"
        path.write_bytes(archive({**links, **passwd}))
        made = one.boxship("import", str(path), "probe")
        assert made.code == 0, made.err
        yield one
        for container in host.get("/containers/json", all=1):
            host.remove(container["Id"], v=1)
        assert host.leaks() == []
    finally:
        host.close()
