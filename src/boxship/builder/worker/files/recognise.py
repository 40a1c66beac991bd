"""Whether a file is an archive that ADD unpacks: told by content, not by name."""

from contextlib import suppress

from boxship.errors import InvalidArgumentError
from boxship.storage.diff.codec import Decoder

HEAD = 1 << 20
"""How many bytes it takes to tell: a bzip2 block needs up to 900 kB to give its first byte."""

_BLOCK = 512
_SUM = slice(148, 156)


class _EnoughError(Exception):
    """The first block is there; decoding more would be waste."""


def is_archive(head: bytes) -> bool:
    """Whether a file that begins like this begins with a tar header, compressed or not."""
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
