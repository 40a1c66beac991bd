"""Whether a file is an archive that ADD unpacks: told by content, not by name."""

import os
from contextlib import suppress

from boxship.errors import InvalidArgumentError
from boxship.storage.diff.codec import Decoder

_BLOCK = 512
# A bzip2 block takes up to 900 kB before it gives its first byte.
_HEAD = 1 << 20
_SUM = slice(148, 156)


class _EnoughError(Exception):
    """The first block is there; decoding more would be waste."""


def is_archive(descriptor: int) -> bool:
    """Whether an open file begins with a tar header, behind a compression or not."""
    head = os.pread(descriptor, _HEAD, 0)
    block = bytearray()

    def consume(data: bytes) -> None:
        block.extend(data[:_BLOCK])
        if len(block) >= _BLOCK:
            raise _EnoughError

    with suppress(_EnoughError, InvalidArgumentError):
        Decoder(consume).write(head)
    return _is_header(bytes(block[:_BLOCK]))


def _is_header(block: bytes) -> bool:
    """Checked by the header's own sum, so that text and other formats do not pass (tar(5))."""
    if len(block) < _BLOCK or not block[0]:
        return False
    try:
        announced = int(block[_SUM].strip(b"\0 "), 8)
    except ValueError:
        return False
    return sum(block) - sum(block[_SUM]) + 8 * ord(" ") == announced
