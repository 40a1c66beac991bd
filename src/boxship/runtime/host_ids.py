"""Blocks of host ids, which the daemons of one machine divide among themselves.

What the kernel counts by user (processes, keys, pending signals, inotify watches) would be shared
by containers of two daemons that hand out the same ids. So each daemon takes whole blocks: a file
in a directory of /run, which names the daemon's run-time directory. A block is free when neither
daemon nor keeper holds its lock there: then no container runs either.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from boxship.errors import ExhaustedError, UnavailableError

BLOCKS = 64
DIRECTORY = Path("/run/boxship-ids")

_LOCKS = ("daemon.lock", "keeper.lock")


class HostIds:
    """The blocks of one daemon. A daemon that is started again has those that it had."""

    def __init__(self, exec_root: Path, directory: Path = DIRECTORY) -> None:
        """Look up what it has.

        Args:
            exec_root: whose blocks; the caller holds its lock.
            directory: where the daemons of this machine write down what they took.

        Raises:
            UnavailableError: the directory cannot be made or written to.
        """
        self._owner = str(exec_root.resolve())
        self._directory = directory
        self._given: set[int] = set()
        with self._locked():
            self._kept = [n for n in range(BLOCKS) if self._owner_of(n) == self._owner]

    def first(self) -> int:
        """The block that it had before all others; taken if it has none.

        Raises:
            ExhaustedError: other daemons have all of them.
            UnavailableError: the directory cannot be written to.
        """
        if not self._kept:
            self._kept.append(self._take())
        return self._kept[0]

    def claim(self) -> int:
        """The number of one more block, from 0.

        Raises:
            ExhaustedError: other daemons have all the rest.
            UnavailableError: the directory cannot be written to.
        """
        self.first()
        for number in self._kept:
            if number not in self._given:
                self._given.add(number)
                return number
        self._kept.append(self._take())
        self._given.add(self._kept[-1])
        return self._kept[-1]

    def _take(self) -> int:
        with self._locked():
            held = _flocked()
            for number in range(BLOCKS):
                owner = self._owner_of(number)
                if owner != self._owner and not _is_alive(owner, held):
                    self._place(number).write_text(self._owner)
                    return number
        raise ExhaustedError(
            "all ranges of user ids are in use",
            hint=f"{self._directory} says by which daemons: end one of them with its containers",
        )

    def _place(self, number: int) -> Path:
        return self._directory / str(number)

    def _owner_of(self, number: int) -> str:
        """The run-time directory that a block was taken for, if any."""
        try:
            return self._place(number).read_text()
        except FileNotFoundError:
            return ""

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            finally:
                os.close(lock)
        except OSError as error:
            raise UnavailableError(
                f"ranges of user ids cannot be claimed in {self._directory}: {error.strerror}",
                hint="it must be writable; it is made where it is missing",
            ) from error


def _is_alive(exec_root: str, held: set[int]) -> bool:
    return any(_inode(f"{exec_root}/{name}") in held for name in _LOCKS) if exec_root else False


def _flocked() -> set[int]:
    """Inode of every file that somebody holds a flock(2) of (proc(5), /proc/locks).

    Looked up, not tried: to try is to hold it, which a daemon that starts would stumble over. The
    device is not compared: Btrfs has another one for stat(2). At worst a block stays unused.
    """
    rows = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    # `1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF`; `->` stands before who waits.
    return {int(row[5].rpartition(":")[2]) for row in rows if row[1] == "FLOCK"}


def _inode(path: str) -> int:
    try:
        return Path(path).stat().st_ino
    except OSError:
        return 0
