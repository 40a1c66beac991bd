"""A container's log in Docker's json-file format, written where Docker's tools expect it.

One JSON object a line: `log` (with the newline that ended it), `stream`, `time` (UTC). A line
longer than 16 KiB is cut into records without a newline, as is the unfinished rest when the
container ends; readers put them together by the missing newline.
"""
# pathlib alone would cost the keeper half a megabyte.
# ruff: noqa: PTH105

import os
import time
from collections.abc import Callable
from json.encoder import encode_basestring as quote

from boxship import log
from boxship.errors import InvalidArgumentError
from boxship.runtime.keeper.messages import LogTarget

LINE_LIMIT = 16_384
"""Bytes of one record's text, as Docker cuts them."""

_SECOND = 1_000_000_000


def rfc3339_nano(nanoseconds: int) -> str:
    """UTC time as Go prints RFC3339Nano: fraction without trailing zeros."""
    seconds, fraction = divmod(nanoseconds, _SECOND)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{fraction:09d}".rstrip("0") + "Z" if fraction else text + "Z"


def split_lines(data: bytes) -> tuple[list[bytes], bytes]:
    """Cut into records of whole lines or 16 KiB; the rest waits for its newline."""
    *lines, rest = data.split(b"\n")
    records: list[bytes] = []
    for line in lines:
        if len(line) <= LINE_LIMIT:
            records.append(line + b"\n")
        else:
            last = _cut(line, records)
            records.append(last + b"\n")
    if len(rest) > LINE_LIMIT:
        rest = _cut(rest, records)
    return records, rest


def _cut(line: bytes, records: list[bytes]) -> bytes:
    start = 0
    while len(line) - start > LINE_LIMIT:
        end = _character_start(line, start + LINE_LIMIT)
        records.append(line[start:end])
        start = end
    return line[start:]


def _character_start(line: bytes, end: int) -> int:
    """Move a cut back to the beginning of a UTF-8 character (at most 4 bytes long)."""
    for back in range(4):
        if line[end - back] & 0xC0 != 0x80:
            return end - back
    return end


class LogFile:
    """The current file and its rotated predecessors (`.1` is the youngest).

    A disk that is full, or a directory that went away, costs records and never the container:
    what does not fit is dropped and counted, and a record is written whole or not at all.
    """

    __slots__ = ("_clock", "_fd", "_size", "_target", "dropped")

    def __init__(self, target: LogTarget, clock: Callable[[], int] = time.time_ns) -> None:
        """Open or continue the log.

        Raises:
            OSError: the file cannot be opened.
        """
        self._target = target
        self._clock = clock
        self.dropped = 0
        self._fd = self._open()
        self._size = os.fstat(self._fd).st_size

    def append(self, stream: str, lines: list[bytes]) -> None:
        """Log lines of one stream, rotating when the file is full."""
        tail = f',"stream":"{stream}","time":"{rfc3339_nano(self._clock())}"}}\n'
        batch: list[bytes] = []
        room = self._room()
        for line in lines:
            text = line.decode("utf-8", "replace")
            record = f'{{"log":{quote(text)}{tail}'.encode()
            room -= len(record)
            if room < 0 and self._target.max_size > 0:
                self._write(b"".join(batch))
                batch.clear()
                self._rotate()
                room = self._room() - len(record)
            batch.append(record)
        if batch:
            self._write(b"".join(batch))

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self.dropped:
            log.warn(f"{self._target.path}: {self.dropped} bytes of log were dropped")

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(self._target.path, flags, 0o640)

    def _room(self) -> int:
        return self._target.max_size - self._size

    def _write(self, batch: bytes) -> None:
        if not batch:
            return
        try:
            written = os.write(self._fd, batch)
        except OSError as e:
            self._drop(len(batch), e.strerror or "")
            return
        if written < len(batch):
            self._keep_whole_records(batch, written)
            return
        self._size += written

    def _keep_whole_records(self, batch: bytes, written: int) -> None:
        whole = batch.rfind(b"\n", 0, written) + 1
        self._size += whole
        try:
            os.ftruncate(self._fd, self._size)
        except OSError as e:
            log.warn(f"{self._target.path}: a cut record stays: {e.strerror}")
        self._drop(len(batch) - whole, "no space left")

    def _drop(self, size: int, why: str) -> None:
        if not self.dropped:
            log.warn(f"{self._target.path}: dropping output: {why}")
        self.dropped += size

    def _rotate(self) -> None:
        path = self._target.path
        if self._size == 0:
            return
        try:
            for number in range(self._target.max_file - 1, 1, -1):
                _move(f"{path}.{number - 1}", f"{path}.{number}")
            if self._target.max_file > 1:
                os.replace(path, f"{path}.1")
            else:
                os.ftruncate(self._fd, 0)
                self._size = 0
                return
            fresh = self._open()
        except OSError as e:
            log.warn(f"{path}: not rotated: {e.strerror}")
            return
        os.close(self._fd)
        self._fd = fresh
        self._size = 0


def open_log(target: LogTarget | None, clock: Callable[[], int]) -> LogFile | None:
    """Open a log where there is to be one.

    Raises:
        InvalidArgumentError: the file cannot be opened; its directory must exist.
    """
    if target is None:
        return None
    try:
        return LogFile(target, clock)
    except OSError as e:
        raise InvalidArgumentError(f"log file {target.path} cannot be opened: {e.strerror}") from e


def _move(source: str, target: str) -> None:
    try:
        os.replace(source, target)
    except FileNotFoundError:
        return
