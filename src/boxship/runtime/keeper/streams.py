"""One process's standard streams, seen from the keeper's end."""
# pathlib alone would cost the keeper half a megabyte.
# ruff: noqa: PTH108

import errno
import os
from typing import TYPE_CHECKING

from boxship.runtime.keeper.logfile import split_lines
from boxship.runtime.keeper.loop import READ, WRITE, Loop

if TYPE_CHECKING:
    from boxship.runtime.keeper.process import Process

STDOUT = 1
STDERR = 2
NAMES = {STDOUT: "stdout", STDERR: "stderr"}

_CHUNK = 65_536
_REOPEN_SECONDS = 0.2


class Carry:
    """The unfinished line of a stream, in a file, so that a keeper that dies loses none of it."""

    __slots__ = ("_fd", "_path", "_used")

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._used = False

    def load(self) -> bytes:
        """What a keeper before this one left here."""
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        text = os.read(self._fd, _CHUNK)
        self._used = bool(text)
        return text

    def store(self, text: bytes) -> None:
        if not text and not self._used:
            return
        try:
            if self._fd < 0:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._fd, text, 0)
            os.ftruncate(self._fd, len(text))
        except OSError:
            # A full disk: the line is still in memory, only a crash would lose it.
            return
        self._used = bool(text)

    def remove(self) -> None:
        if self._fd < 0:
            return
        os.close(self._fd)
        self._fd = -1
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            return


class Output:
    """The reading end of stdout, of stderr, or of a terminal."""

    __slots__ = ("_carry", "_loop", "_process", "_rest", "fd", "open", "stream")

    def __init__(self, loop: Loop, process: "Process", fd: int, stream: int, carry: Carry) -> None:
        self._loop = loop
        self._process = process
        self._carry = carry
        self._rest = b""
        self.fd = fd
        self.stream = stream
        self.open = True

    def recover(self) -> None:
        """Take up the unfinished line of the keeper before this one."""
        self._rest = self._carry.load()

    def resume(self) -> None:
        if self.open and not self._loop.watches(self.fd):
            self._loop.watch(self.fd, READ, self._ready)

    def pause(self) -> None:
        # Not merely a change to no events: a closed pipe reports a hang-up whatever is asked for.
        self._loop.forget(self.fd)

    def drain(self, limit: int) -> None:
        """Read what is there without waiting, up to about `limit` bytes."""
        while self.open and limit > 0:
            size = self._read()
            if size == 0:
                return
            limit -= size

    def close(self) -> None:
        """No more is read; an unfinished line is logged as it is."""
        if not self.open:
            return
        self.open = False
        self._loop.forget(self.fd)
        os.close(self.fd)
        if self._rest and self._process.log is not None:
            self._process.log.append(NAMES[self.stream], [self._rest])
            self._rest = b""
        self._carry.remove()

    def _ready(self, _events: int) -> None:
        self._read()

    def _read(self) -> int:
        """One read; its size, 0 when there was nothing or the end."""
        try:
            data = os.read(self.fd, _CHUNK)
        except BlockingIOError:
            return 0
        except OSError as e:
            if e.errno != errno.EIO:
                raise
            self._nobody_on_the_terminal()
            return 0
        if not data:
            self.close()
            self._process.output_closed()
            return 0
        self._log(data)
        self._process.emit(self.stream, data)
        return len(data)

    def _nobody_on_the_terminal(self) -> None:
        # A master reads EIO while no process has the terminal open, which ends with the next open:
        # a shell script may close its terminal and come back.
        if self._process.ending:
            self.close()
            self._process.output_closed()
            return
        self.pause()
        self._loop.later(_REOPEN_SECONDS, self.resume)

    def _log(self, data: bytes) -> None:
        if self._process.log is None:
            return
        lines, self._rest = split_lines(self._rest + data if self._rest else data)
        if lines:
            self._process.log.append(NAMES[self.stream], lines)
        self._carry.store(self._rest)


class Input:
    """The writing end of a process's stdin or terminal.

    What the process does not take at once waits here; while something waits, attach clients are
    not read, so a process that never reads costs one chunk of memory.
    """

    __slots__ = ("_closing", "_loop", "_pending", "_process", "fd")

    def __init__(self, loop: Loop, process: "Process", fd: int) -> None:
        self._loop = loop
        self._process = process
        self._pending = b""
        self._closing = False
        self.fd = fd

    @property
    def full(self) -> bool:
        return bool(self._pending)

    def write(self, data: bytes) -> None:
        if self.fd < 0:
            return
        self._pending += data
        self._flush()

    def finish(self) -> None:
        """Close once everything is written."""
        self._closing = True
        if not self._pending:
            self.close()

    def close(self) -> None:
        if self.fd < 0:
            return
        self._loop.forget(self.fd)
        os.close(self.fd)
        self.fd = -1
        self._pending = b""
        self._process.input_closed()

    def _ready(self, _events: int) -> None:
        self._flush()
        if not self._pending and self.fd >= 0:
            self._loop.forget(self.fd)

    def _flush(self) -> None:
        was_full = self._loop.watches(self.fd)
        try:
            written = os.write(self.fd, self._pending)
        except BlockingIOError:
            written = 0
        except OSError:
            # The process closed its stdin (EPIPE), or its terminal is gone (EIO).
            self.close()
            return
        self._pending = self._pending[written:]
        if self._pending and not was_full:
            self._loop.watch(self.fd, WRITE, self._ready)
        elif not self._pending:
            self._drained(was_full)

    def _drained(self, was_full: bool) -> None:
        if self._closing:
            self.close()
        elif was_full:
            self._process.input_drained()
