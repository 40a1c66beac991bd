"""Directories into tar streams: layers with whiteouts, and plain exports."""

from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from boxship.model.digest import Digest

Compression = Literal["none", "gzip", "zstd"]


class Sink(Protocol):
    """Where a stream goes: a file, a pipe, an `Ingest`."""

    def write(self, data: bytes, /) -> object: ...


class Packed(NamedTuple):
    """What was written: digest of the tar, and digest and bytes of what went to the sink."""

    diff_id: Digest
    digest: Digest
    size: int


def write_layer(
    upper: Path, out: Sink, *, compression: Compression = "gzip", clamp: int | None = None
) -> Packed:
    """Write an overlay upper directory as an OCI layer; equal trees give equal bytes.

    Args:
        upper: `SnapshotStore.upper`, or a layer's tree.
        compression: how to compress on the way out.
        clamp: no entry is newer than this (seconds since 1970), for reproducible builds.
    """
    raise NotImplementedError


def write_tree(
    root: Path, out: Sink, *, path: str = ".", compression: Compression = "none"
) -> Packed:
    """Write a plain directory (or one `path` below it) as tar: for export and cp."""
    raise NotImplementedError
