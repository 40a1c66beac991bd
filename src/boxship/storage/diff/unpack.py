"""Tar streams into directories, by a separate process that is confined to the target.

This process decompresses and digests, which needs no Python between blocks and leaves the other
threads running; the child (`extract`) makes the files. So both cores work, the daemon stays
responsive, and what an archive can do is limited to its target.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

from boxship.errors import BoxshipError, InternalError, InvalidArgumentError, UnsupportedError
from boxship.model.digest import Digest
from boxship.storage.diff.codec import Decoder
from boxship.storage.diff.extract import Options
from boxship.storage.space import FULL, exhausted

_SOURCE = Path(__file__).parents[3]
_CHUNK = 256 << 10
_PIPE_SIZE = 1 << 20
_CHILD = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from boxship.storage.diff.extract import main; main(sys.argv[2:])"
)
_DAMAGED_HINT = "the archive is damaged or made to do harm; nothing of it was kept"


class Applied(NamedTuple):
    """A layer that was unpacked: digest and size in bytes of its uncompressed tar stream."""

    diff_id: Digest
    size: int


class Unpacking:
    """A layer unpacked while it arrives: `write` its (compressed) bytes, then `finish`.

    For pulls: the same bytes go to an `Ingest`. Leaving the `with` block without `finish` stops
    the work; the target is then to be discarded (`Stage` does).
    """

    def __init__(self, target: Path, *, parents: tuple[Path, ...] = ()) -> None:
        self._hash = hashlib.sha256()
        self._size = 0
        self._child = _Child(target, Options(layer=True), parents)
        self._decoder = Decoder(self._consume)

    def write(self, data: bytes) -> None:
        """Unpack more; blocks while the disk is slower.

        Raises:
            InvalidArgumentError: the archive is damaged or leaves its root.
            ExhaustedError: no space left.
        """
        self._decoder.write(data)

    def finish(self, expected: Digest | None = None) -> Applied:
        """Wait until everything is on its place, and verify the diff id.

        Raises:
            InvalidArgumentError: the archive is damaged, truncated, or another one.
            ExhaustedError: no space left.
        """
        self._decoder.finish()
        self._child.finish()
        diff_id = Digest("sha256:" + self._hash.hexdigest())
        if expected is not None and diff_id != expected:
            raise InvalidArgumentError(
                f"layer {expected} does not match its diff id: it unpacks to {diff_id}",
                hint="the image is damaged or lying; nothing of the layer was kept",
            )
        return Applied(diff_id, self._size)

    def abort(self) -> None:
        """Stop; does nothing when finished."""
        self._child.stop()

    def _consume(self, plain: bytes) -> None:
        self._hash.update(plain)
        self._size += len(plain)
        self._child.feed(plain)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()


def apply_layer(
    stream: BinaryIO,
    target: Path,
    *,
    parents: tuple[Path, ...] = (),
    expected: Digest | None = None,
) -> Applied:
    """Unpack a layer (plain, gzip or zstd tar; told by its first bytes) into overlay form.

    Args:
        stream: read to its end.
        target: the directory for the layer's own entries, `Stage.path`.
        parents: the layers below, top first: directories the stream leaves out are made like there.
        expected: the diff id the stream must have.

    Raises:
        InvalidArgumentError: the archive is damaged, leaves its root, or has another diff id.
        ExhaustedError: no space left.
    """
    with Unpacking(target, parents=parents) as unpacking:
        _pump(stream, unpacking.write)
        return unpacking.finish(expected)


def unpack_layer(
    blob: Path,
    media_type: str,
    target: Path,
    *,
    parents: tuple[Path, ...] = (),
    expected: Digest | None = None,
) -> Applied:
    """`apply_layer` of a blob of the content store.

    Raises:
        UnsupportedError: the media type is not a layer's.
    """
    if ".tar" not in media_type:
        raise UnsupportedError(f"blob {blob.name} of type {media_type!r} is not a layer")
    with blob.open("rb", buffering=0) as stream:
        return apply_layer(stream, target, parents=parents, expected=expected)


def unpack_archive(
    stream: BinaryIO,
    root: Path,
    *,
    destination: str = "",
    owner: tuple[int, int] | None = None,
    devices: bool = False,
    keep_kinds: bool = False,
) -> None:
    """Unpack an archive (plain, gzip, bzip2, xz, zstd) as it is: for ADD, build contexts and cp.

    What is there is replaced; directories are joined.

    Args:
        stream: read to its end.
        root: nothing outside this directory is touched; symbolic links resolve inside it.
        destination: directory inside the root; made when absent.
        owner: uid and gid of everything, instead of the archive's.
        devices: whether device nodes are made; when not they are refused.
        keep_kinds: refuse to replace a directory by something else or the reverse.

    Raises:
        InvalidArgumentError: the archive is damaged, leaves its root, or holds what is refused.
        ExhaustedError: no space left.
    """
    options = Options(
        layer=False,
        destination=destination,
        owner=owner,
        devices=devices,
        keep_kinds=keep_kinds,
    )
    child = _Child(root, options, ())
    try:
        decoder = Decoder(child.feed)
        _pump(stream, decoder.write)
        decoder.finish()
        child.finish()
    finally:
        child.stop()


def _pump(stream: BinaryIO, write: Callable[[bytes], None]) -> None:
    while chunk := stream.read(_CHUNK):
        write(chunk)


class _Child:
    """The extracting process and the pipe to it."""

    def __init__(self, target: Path, options: Options, parents: tuple[Path, ...]) -> None:
        arguments = [str(target), *options.arguments(), *map(str, parents)]
        # The child is this program: it needs none of the environment.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _CHILD, str(_SOURCE), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={},
        )
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        self._input = self._process.stdin.fileno()
        with suppress(OSError):
            # An unprivileged user may have used up the budget for large pipes.
            fcntl.fcntl(self._input, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)

    def feed(self, data: bytes) -> None:
        try:
            written = os.write(self._input, data)
            while written < len(data):
                written += os.write(self._input, memoryview(data)[written:])
        except BrokenPipeError:
            # It gave up; its words say why.
            self.finish()
            raise

    def finish(self) -> None:
        """Close the pipe and wait for the outcome.

        Raises:
            InvalidArgumentError: the archive was refused.
            ExhaustedError: no space left.
            InternalError: the kernel refused something, or the process died.
        """
        try:
            outcome, _ = self._process.communicate()
        finally:
            self.stop()
        failure = _failure(outcome.decode("utf-8", "replace").split("\0"), self._process.returncode)
        if failure is not None:
            raise failure

    def stop(self) -> None:
        """Make sure that it is gone."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def _failure(outcome: list[str], exit_code: int) -> BoxshipError | None:
    match outcome:
        case ["ok", *_]:
            return None
        case ["refused", reason, *_]:
            return InvalidArgumentError(f"cannot unpack archive: {reason}", hint=_DAMAGED_HINT)
        case ["failed", number, reason, *_]:
            if int(number) in FULL:
                return exhausted(f"entry {reason.rpartition(':')[0]} of an archive")
            return InternalError(f"cannot unpack archive: {reason}")
    return InternalError(f"cannot unpack archive: the extracting process ended with {exit_code}")
