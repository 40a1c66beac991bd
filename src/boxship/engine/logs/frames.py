"""Docker's stdcopy framing: several streams on one connection."""

import struct

STDOUT = 1
STDERR = 2
_HEADER = struct.Struct(">BxxxI")


def frame(stream: int, data: bytes) -> bytes:
    """One frame: the stream's number, three zeros, the length in network order, the data."""
    return _HEADER.pack(stream, len(data)) + data
