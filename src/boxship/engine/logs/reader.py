"""Answers log queries: the end of a log, a span of time, and what is written from now on."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from boxship.engine.logs.frames import STDERR, STDOUT
from boxship.engine.logs.jsonfile import Joiner, files_of, lines, tail_start
from boxship.engine.logs.watch import DirectoryWatch
from boxship.engine.values import LogEntry, LogQuery
from boxship.model.container import Container

_BREATH = 512
"""Entries after which other tasks get their turn."""


class Ending:
    """Tells a follower when the container has ended and its log is complete.

    Attributes:
        done: it has.
    """

    def __init__(self, *, done: bool) -> None:
        self.done = done
        self._callbacks: list[Callable[[], None]] = []

    def on_end(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def finish(self) -> None:
        self.done = True
        for callback in self._callbacks:
            callback()


async def read_log(
    container: Container, query: LogQuery, ending: Ending
) -> AsyncIterator[LogEntry]:
    """Entries of a container's json-file log that the query asks for, oldest first."""
    path = Path(container.log_path)
    watch = DirectoryWatch(str(path.parent)) if query.follow and not ending.done else None
    if watch is not None:
        ending.on_end(watch.poke)
    cursor = _Cursor(path, query)
    try:
        count = 0
        async for entry in _stream(cursor, watch, ending):
            if query.until and entry.time > query.until:
                return
            if _wanted(entry, query):
                yield entry
            count += 1
            if count % _BREATH == 0:
                await asyncio.sleep(0)
    finally:
        cursor.close()
        if watch is not None:
            watch.close()


async def _stream(
    cursor: "_Cursor", watch: DirectoryWatch | None, ending: Ending
) -> AsyncIterator[LogEntry]:
    while True:
        # Asked before reading: what is written until the end is then read in this very round.
        last = watch is None or ending.done
        for entry in cursor.read():
            yield entry
        if last:
            break
        if watch is not None:
            await watch.wait()
    for entry in cursor.flush():
        yield entry


def _wanted(entry: LogEntry, query: LogQuery) -> bool:
    return entry.time >= query.since and entry.stream in _streams(query)


def _streams(query: LogQuery) -> tuple[int, ...]:
    return (STDOUT,) * query.stdout + (STDERR,) * query.stderr


class _Cursor:
    """A place in a log that moves on, over rotations, as it is read."""

    def __init__(self, path: Path, query: LogQuery) -> None:
        self._path = path
        self._joiner = Joiner()
        self._files: list[tuple[int, int]] = []
        self._offset = 0
        self._open_all(query)

    def _open_all(self, query: LogQuery) -> None:
        opened = [fd for file in files_of(self._path) if (fd := _open(file)) >= 0]
        if query.tail is None:
            self._files = [(fd, 0) for fd in opened]
            return
        left = query.tail
        for fd in reversed(opened):
            start, found = tail_start(fd, left, _streams(query))
            self._files.insert(0, (fd, start))
            left -= found

    def read(self) -> Iterator[LogEntry]:
        """Everything there is from here to the end."""
        while self._files or self._find_next(None):
            fd, start = self._files[0]
            if os.fstat(fd).st_size < start:
                # A log of one file only is emptied instead of rotated.
                start = 0
            final = len(self._files) > 1
            for raw in lines(fd, start):
                start += len(raw) + 1
                self._files[0] = (fd, start)
                entry = self._joiner.push(raw)
                if entry is not None:
                    yield entry
            if final:
                os.close(self._files.pop(0)[0])
            elif not self._find_next(fd):
                return
            # Else the file was rotated: what it got since the read above comes in one more round.

    def _find_next(self, current: int | None) -> bool:
        """Open the files that were begun after the current one; tell whether there are any."""
        if current is not None and _is_at(self._path, current):
            return False
        fresh: list[int] = []
        for file in reversed(files_of(self._path)):
            fd = _open(file)
            if fd < 0:
                continue
            if current is not None and os.path.sameopenfile(fd, current):
                os.close(fd)
                break
            fresh.append(fd)
        self._files.extend((fd, 0) for fd in reversed(fresh))
        return bool(fresh)

    def flush(self) -> Iterator[LogEntry]:
        return self._joiner.flush()

    def close(self) -> None:
        for fd, _ in self._files:
            os.close(fd)
        self._files.clear()


def _open(path: Path) -> int:
    """A descriptor, or -1 for a file that was rotated away meanwhile."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1


def _is_at(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        # Between the two renames of a rotation; the next change wakes us again.
        return True
