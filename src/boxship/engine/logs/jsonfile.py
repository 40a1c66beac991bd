"""Reads the json-file logs that the keeper writes: one JSON object a line, files rotated by number.

PATH is the newest file, PATH.1 the one before, and so on. A line of output that was too long for
one object is spread over several, of which only the last one's text ends in a newline; they are
joined here.
"""

import calendar
import os
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import msgspec

from boxship.engine.logs.frames import STDERR, STDOUT
from boxship.engine.values import LogEntry

BLOCK = 1 << 18
"""Bytes read at a time."""

_LONGEST = 1 << 20
"""Bytes of output after which a line that does not end is passed on as it is."""

_SECOND = 1_000_000_000


class _Line(msgspec.Struct):
    log: str = ""
    stream: str = "stdout"
    time: str = ""


_decode = msgspec.json.Decoder(_Line).decode


class Joiner:
    """Turns lines of a log file into entries of whole lines of output, stream by stream."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[int, list[bytes]]] = {}

    def push(self, raw: bytes) -> LogEntry | None:
        """Take one line of the file; give the entry that it completes, if it does."""
        try:
            line = _decode(raw)
        except msgspec.MsgspecError:
            # A line cut by a full disk or a crash must not hide the ones after it.
            return None
        stream = STDERR if line.stream == "stderr" else STDOUT
        data = line.log.encode(errors="surrogatepass")
        begun = self._open.get(stream)
        if begun is None:
            if data.endswith(b"\n"):
                return LogEntry(stream, parse_time(line.time), data)
            self._open[stream] = (parse_time(line.time), [data])
            return None
        begun[1].append(data)
        if data.endswith(b"\n") or sum(map(len, begun[1])) > _LONGEST:
            return self._close(stream)
        return None

    def flush(self) -> Iterator[LogEntry]:
        """What was begun and does not go on, as at the end of the log."""
        for stream in sorted(self._open, key=lambda key: self._open[key][0]):
            yield self._close(stream)

    def _close(self, stream: int) -> LogEntry:
        begun, pieces = self._open.pop(stream)
        return LogEntry(stream, begun, b"".join(pieces))


def files_of(path: Path) -> list[Path]:
    """The files of a log, oldest first; those that exist."""
    files = [path]
    number = 1
    while (older := path.with_name(f"{path.name}.{number}")).exists():
        files.append(older)
        number += 1
    return [file for file in reversed(files) if file.exists()]


def lines(file: int, start: int = 0) -> Iterator[bytes]:
    """The whole lines of an open file from an offset on; an unfinished last one is left out."""
    rest = b""
    while block := os.pread(file, BLOCK, start):
        start += len(block)
        *whole, rest = (rest + block).split(b"\n")
        yield from whole


def tail_start(file: int, count: int, streams: tuple[int, ...]) -> tuple[int, int]:
    """Where the last `count` lines of output in an open log file begin, and how many there are.

    Reads backwards, and no more than needed. Fewer than `count` are found when the file has fewer.
    """
    end = os.fstat(file).st_size
    start, found = end, 0
    # The file's last line of a stream begins a tail even when its output has no newline yet.
    fresh = set(streams)
    for offset, raw in _backwards(file, end):
        stream, whole = _peek(raw)
        if stream in streams:
            if whole or stream in fresh:
                if found == count:
                    return start, found
                found += 1
            fresh.discard(stream)
        start = offset
    return start, found


def _backwards(file: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Lines from the end of a file to its beginning, each with its offset."""
    rest = b""
    position = end
    while position > 0:
        size = min(BLOCK, position)
        position -= size
        parts = (os.pread(file, size, position) + rest).split(b"\n")
        rest = parts[0]
        offset = position + sum(len(part) + 1 for part in parts)
        for part in reversed(parts[1:]):
            offset -= len(part) + 1
            if part:
                yield offset, part
    if rest:
        yield 0, rest


def _peek(raw: bytes) -> tuple[int, bool]:
    """The stream of a line of the file, and whether it ends a line of output."""
    try:
        line = _decode(raw)
    except msgspec.MsgspecError:
        return 0, False
    return STDERR if line.stream == "stderr" else STDOUT, line.log.endswith("\n")


def parse_time(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 time in UTC; 0 for one that is none."""
    try:
        seconds = _seconds(text[:19])
        fraction = text[20:].rstrip("Z")
        return seconds * _SECOND + (int(fraction.ljust(9, "0")[:9]) if fraction else 0)
    except ValueError:
        return 0


@lru_cache(maxsize=64)
def _seconds(text: str) -> int:
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))


def joined(raw: Iterable[bytes]) -> Iterator[LogEntry]:
    """Entries of a log that is complete."""
    joiner = Joiner()
    for line in raw:
        entry = joiner.push(line)
        if entry is not None:
            yield entry
    yield from joiner.flush()
