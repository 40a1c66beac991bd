"""Output of a process out of Docker's stdcopy frames.

A frame is one byte for the stream (1 stdout, 2 stderr), three zero bytes, the length of what
follows (32 bits, big endian), and that.
"""

from collections.abc import Iterator

_HEADER = 8
_STREAMS = {1: "stdout", 2: "stderr"}


class Frames:
    """Takes bytes as they come and gives whole frames."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """The stream's name and the bytes of every frame that is whole now."""
        self._pending += data
        while len(self._pending) >= _HEADER:
            end = _HEADER + int.from_bytes(self._pending[4:_HEADER], "big")
            if len(self._pending) < end:
                return
            stream = _STREAMS.get(self._pending[0], "stderr")
            body = bytes(self._pending[_HEADER:end])
            del self._pending[:end]
            yield stream, body
