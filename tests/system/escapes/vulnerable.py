"""The vulnerable ways of doing it, re-created: what an attack must get through, or it is none.

Old runtimes entered a container as themselves, seen from within: with the host's root as theirs,
their memory readable, their descriptors open. These do the same, from the test's own process.
"""

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from boxship.kernel import abi
from boxship.kernel.namespaces import setns
from boxship.kernel.process import prctl

_USER = abi.CLONE_NEWUSER
_NAMES = (
    (_USER, "user"),
    (abi.CLONE_NEWPID, "pid"),
    (abi.CLONE_NEWNS, "mnt"),
)


def join(pid: int, kinds: int) -> None:
    """Enter namespaces of a container, as its root where it has a user namespace of its own."""
    held = [
        (os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY), kind)
        for kind, name in _NAMES
        if kinds & kind
    ]
    for descriptor, kind in held:
        setns(descriptor, kind)
        if kind == _USER:
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
        os.close(descriptor)


def _enter(pid: int, kinds: int, work: Callable[[], object], ours: int) -> int:
    """Start `work` in namespaces of a container; its parent's id, which ends as it does.

    `ours` is a descriptor that only the caller keeps.
    """
    parent = os.fork()
    if parent == 0:
        with suppress(BaseException):
            os.close(ours)
            join(pid, kinds)
            child = os.fork()
            if child == 0:
                with suppress(BaseException):
                    # As a tool that an operator calls, not as pytest, which an attack knows.
                    Path("/proc/thread-self/comm").write_text("runc:[1:CHILD]")
                    prctl(abi.PR_SET_DUMPABLE, 1)
                    work()
                os._exit(1)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
        os._exit(1)
    return parent


def become(program: str, *arguments: str) -> None:
    """Execute another program."""
    os.execv(program, [program, *arguments])  # noqa: S606 - no shell wanted


def run(pid: int, kinds: int, work: Callable[[], object]) -> str:
    """What `work` prints within a container's namespaces; it usually becomes another program."""
    reader, writer = os.pipe()

    def report() -> None:
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        work()

    parent = _enter(pid, kinds, report, reader)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    os.waitpid(parent, 0)
    return text


@contextmanager
def visiting(pid: int, kinds: int) -> Iterator[None]:
    """The moment in which an exec helper is seen inside and has not given up what it holds."""
    reader, writer = os.pipe()

    parent = _enter(pid, kinds, lambda: bool(os.read(reader, 1)), writer)
    try:
        yield
    finally:
        os.close(writer)
        os.close(reader)
        os.waitpid(parent, 0)


def by_path(script: str, *arguments: str) -> str:
    """What a shell prints that mounts by path, in a mount namespace that ends with it."""
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def unpack(archive: bytes, place: Path) -> None:
    """Unpack as if no archive lied: each name below a directory, by path, over what is there."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            with suppress(OSError):
                _unpack_one(tar, member, f"{place}/{member.name}" if member.name[0] != "/" else "")


def _unpack_one(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    path = path or member.name
    if member.isdir():
        Path(path).mkdir(exist_ok=True)
        Path(path).chmod(member.mode)
    elif member.issym():
        Path(path).symlink_to(member.linkname)
    elif member.islnk():
        base = Path(path).parents[member.name.count("/")] if member.name[0] != "/" else Path("/")
        Path(path).hardlink_to(base / member.linkname)
    else:
        source = tar.extractfile(member)
        assert source is not None
        with source, Path(path).open("wb") as target:
            shutil.copyfileobj(source, target)
