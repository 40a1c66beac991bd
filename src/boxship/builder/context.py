"""A build context on its way in: whatever a client sends becomes a plain tar file."""

from pathlib import Path
from typing import BinaryIO

from boxship.storage.diff.codec import Decoder
from boxship.storage.space import guard_space

_CHUNK = 256 << 10


def receive_context(stream: BinaryIO, place: Path) -> Path:
    """Write a context's archive (plain, gzip, bzip2, xz, zstd) to a file, decompressed.

    It is not unpacked: `BuildRequest.context` may be such a file, and building from it is faster
    than from a directory. What is wrong with it is told by the build.

    Raises:
        InvalidArgumentError: its compression is damaged or cut off.
        ExhaustedError: no space left.
    """
    with guard_space("the build context"), place.open("wb") as out:
        decoder = Decoder(out.write)
        while chunk := stream.read(_CHUNK):
            decoder.write(chunk)
        decoder.finish()
    return place
