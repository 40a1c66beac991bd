"""A base image of a Debian release, made from Debian's archive by mmdebstrap or debootstrap."""

import collections
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, BinaryIO, Self, cast

import msgspec

from boxship.errors import InternalError, NotFoundError, UnavailableError
from boxship.image.bootstrap.base import Base, Halt
from boxship.image.bootstrap.mirror import Mirror, find_mirror, release_time
from boxship.image.context import Context
from boxship.image.importing import import_stream
from boxship.image.made import Import
from boxship.model.image import Image, ImageRunConfig
from boxship.model.platform import host_platform
from boxship.model.reference import Reference
from boxship.storage.diff.pack import write_tree
from boxship.storage.trees import delete_tree, make_directory

SUITES = ("bookworm", "trixie")
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ARCHITECTURES = {"386": "i386", "ppc64le": "ppc64el", "arm": "armhf"}
_APT = (
    "# No man needs translated descriptions and kept packages in an image.\n"
    'Acquire::Languages "none";\n'
    'APT::Keep-Downloaded-Packages "false";\n'
    'APT::AutoRemove::SuggestsImportant "false";\n'
    "Acquire::GzipIndexes true;\n"
)
_FILES = {
    # A layer is thrown away when its build fails: nothing needs syncing.
    "etc/dpkg/dpkg.cfg.d/boxship": ("force-unsafe-io\n", 0o644),
    "etc/apt/apt.conf.d/boxship": (_APT, 0o644),
    # Packages must not start their services while an image is built.
    "usr/sbin/policy-rc.d": ("#!/bin/sh\nexit 101\n", 0o755),
}
_EMPTIED = ("var/lib/apt/lists", "var/cache/apt/archives", "var/log", "run", "tmp")
_KEPT_WORDS = 50
# Without it apt picks usrmerge, and with that all of Perl (50 MB).
_MERGED_USR = Path("/usr/share/mmdebstrap/hooks/maybe-merged-usr")
_STOPPED = "the bootstrap was stopped"
_REMOVED = ("etc/resolv.conf", "etc/hostname", "var/cache/ldconfig/aux-cache")


class _Plan(msgspec.Struct, frozen=True):
    """What to make: release, where from, and the time no file is newer than."""

    suite: str
    architecture: str
    mirror: Mirror
    moment: int


def bootstrap_debian(context: Context, base: Base, suite: str, ref: Reference) -> Image:
    """Make the image. Blocking; takes a minute and 300 MB below the temporary directory.

    Raises:
        NotFoundError: neither mmdebstrap nor debootstrap is installed.
        UnavailableError: Debian's archive does not answer.
        InternalError: the tool failed; the message holds its last words.
    """
    tool = shutil.which("mmdebstrap") or shutil.which("debootstrap")
    if tool is None:
        raise NotFoundError(
            "neither mmdebstrap nor debootstrap is on this host",
            hint="install Debian's package mmdebstrap",
        )
    mirror = find_mirror(suite)
    base.say(f"Asking {mirror.url} for {suite}")
    platform = host_platform()
    architecture = _ARCHITECTURES.get(platform.architecture, platform.architecture)
    plan = _Plan(suite, architecture, mirror, release_time(mirror.url, suite))
    moment = f"{datetime.fromtimestamp(plan.moment, UTC):%Y-%m-%dT%H:%M:%SZ}"
    wanted = Import(
        (ref,),
        ImageRunConfig(env=(_PATH,), cmd=("bash",)),
        created_by=f"bootstrap debian:{suite} from {mirror.url}",
        created=moment,
    )
    # The tools unpack elsewhere first; what they leave goes with this directory.
    folder = Path(tempfile.mkdtemp(prefix="boxship-bootstrap-"))
    try:
        if Path(tool).name == "mmdebstrap":
            return _with_mmdebstrap(context, base, plan, wanted, folder)
        return _with_debootstrap(context, base, plan, wanted, folder)
    finally:
        delete_tree(folder)


def _with_mmdebstrap(
    context: Context, base: Base, plan: _Plan, wanted: Import, folder: Path
) -> Image:
    extra = folder / "extra"
    _write_files(make_directory(extra))
    argv = [
        *(
            "mmdebstrap",
            "--variant=minbase",
            "--format=tar",
            f"--architectures={plan.architecture}",
        ),
        *((f"--hook-dir={_MERGED_USR}",) if _MERGED_USR.is_dir() else ()),
        f"--customize-hook=sync-in {extra} /",
        "--customize-hook=rm -f " + " ".join(f'"$1"/{name}' for name in _REMOVED),
        '--customize-hook=find "$1"/var/log -type f -delete',
        *(plan.suite, "-", *plan.mirror.sources),
    ]
    with _Tool(base, argv, plan, folder) as tool:
        return import_stream(context, tool.output, wanted, f"debian:{plan.suite} file system")


def _with_debootstrap(
    context: Context, base: Base, plan: _Plan, wanted: Import, folder: Path
) -> Image:
    root = folder / "root"
    argv = ["debootstrap", "--variant=minbase", f"--arch={plan.architecture}"]
    with _Tool(base, [*argv, plan.suite, str(root), plan.mirror.url], plan, folder) as tool:
        tool.drain()
        tool.finish()
    _write_files(root)
    (root / "etc/apt/sources.list").write_text("\n".join(plan.mirror.sources) + "\n")
    _clean(root)
    base.say("Packing")
    with (folder / "root.tar").open("w+b") as archive:
        write_tree(root, archive)
        delete_tree(root)
        archive.seek(0)
        return import_stream(context, archive, wanted, f"debian:{plan.suite} file system")


def _write_files(root: Path) -> None:
    for name, (text, mode) in _FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)


def _clean(root: Path) -> None:
    for name in _EMPTIED:
        for entry in (root / name).iterdir():
            if name != "var/log" or entry.is_file():
                delete_tree(entry)
    for name in _REMOVED:
        (root / name).unlink(missing_ok=True)


class _Tool:
    """A bootstrap tool at work: standard output is its product, standard error its words."""

    def __init__(self, base: Base, argv: list[str], plan: _Plan, folder: Path) -> None:
        self._base = base
        self._name = argv[0]
        self._words: collections.deque[str] = collections.deque(maxlen=_KEPT_WORDS)
        base.say("Running " + " ".join(argv[:3]))
        environment = {
            **{
                key: value
                for key, value in os.environ.items()
                if not key.startswith(("LC_", "LANG"))
            },
            "SOURCE_DATE_EPOCH": str(plan.moment),
            "TMPDIR": str(folder),
            "DEBIAN_FRONTEND": "noninteractive",
        }
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        assert self._process.stderr is not None  # noqa: S101
        self._output = self._process.stdout
        base.halt.watch(self._process.pid)
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,))
        self._listener.start()

    @property
    def output(self) -> BinaryIO:
        """What it makes; reading fails at the end if the tool did, or when it is to stop."""
        return cast("BinaryIO", _Output(self, self._base.halt))

    def read(self, size: int) -> bytes:
        return self._output.read(size)

    def drain(self) -> None:
        """Pass the tool's own progress on until it ends."""
        while line := self._output.readline():
            if self._base.halt.is_set():
                raise UnavailableError(_STOPPED)
            self._base.say(line.decode(errors="replace").strip().removeprefix("I: "))

    def _listen(self, stream: IO[bytes]) -> None:
        """Pass on what the tool says it does, and keep the rest for an error."""
        with stream:
            for raw in stream:
                line = raw.decode(errors="replace").strip()
                if line.startswith("I: "):
                    # What it does, without its hooks and temporary paths.
                    if "/" in line or "hook" in line:
                        continue
                    self._base.say(line.removeprefix("I: ").rstrip("."))
                elif line:
                    self._words.append(line)

    def finish(self) -> None:
        """Wait for the end.

        Raises:
            InternalError: the tool failed.
        """
        code = self._process.wait()
        if code == 0:
            return
        if self._base.halt.is_set():
            raise UnavailableError(_STOPPED)
        self._listener.join()
        words = list(self._words)
        told = [line for line in words if line.startswith("E:")] or words[-1:]
        raise InternalError(
            f"{self._name} failed with status {code}: {'; '.join(told) or 'no message'}",
            hint="check the network and the apt sources of this host",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Closed first, or a tool that writes would never come to an end.
        self._output.close()
        if self._process.poll() is None:
            # It unmounts and removes what it made.
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait()
        self._base.halt.watch(0)
        self._listener.join()


class _Output:
    """A tool's product as a stream that is either whole or an error."""

    def __init__(self, tool: _Tool, halt: Halt) -> None:
        self._tool = tool
        self._halt = halt

    def read(self, size: int) -> bytes:
        if self._halt.is_set():
            raise UnavailableError(_STOPPED)
        data = self._tool.read(size)
        if not data:
            self._tool.finish()
        return data
