"""Tar streams into directories, by a separate process that is confined to the target."""

from pathlib import Path
from typing import BinaryIO, NamedTuple

from boxship.model.digest import Digest


class Applied(NamedTuple):
    """A layer that was unpacked: digest and size in bytes of its uncompressed tar stream."""

    diff_id: Digest
    size: int


def apply_layer(
    stream: BinaryIO,
    target: Path,
    *,
    parents: tuple[Path, ...] = (),
    expected: Digest | None = None,
) -> Applied:
    """Unpack a layer (plain, gzip or zstd tar; told by its first bytes) into overlay form.

    Args:
        stream: the tar stream; read to its end.
        target: the directory for the layer's own entries, `Stage.path`.
        parents: the layers below, top first: directories the stream leaves out are made like there.
        expected: the diff id the stream must have.

    Raises:
        InvalidArgumentError: the archive is damaged, leaves its root, or has another diff id.
        ExhaustedError: no space left.
    """
    raise NotImplementedError


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
    raise NotImplementedError


class Unpacking:
    """A layer unpacked while it arrives: `write` compressed bytes, then `finish`.

    For pulls: the same bytes go to an `Ingest`. Leaving the `with` block without `finish` stops
    the work; the target is then to be discarded.
    """

    def __init__(self, target: Path, *, parents: tuple[Path, ...] = ()) -> None:
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        raise NotImplementedError

    def finish(self, expected: Digest | None = None) -> Applied:
        raise NotImplementedError


def unpack_archive(
    stream: BinaryIO,
    root: Path,
    *,
    destination: str = "/",
    owner: tuple[int, int] | None = None,
    devices: bool = False,
) -> None:
    """Unpack an archive (plain, gzip, bzip2, xz, zstd) as it is: for ADD, build contexts and cp.

    Args:
        root: nothing outside this directory is touched; symbolic links resolve inside it.
        destination: directory inside the root; made when absent.
        owner: uid and gid of everything, instead of the archive's.
        devices: whether device nodes are made; when not they are refused.

    Raises:
        InvalidArgumentError: the archive is damaged, leaves its root, or holds what is refused.
        ExhaustedError: no space left.
    """
    raise NotImplementedError
