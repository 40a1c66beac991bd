"""The database file: one SQLite connection, its schema, and transactions."""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from boxship.errors import ExhaustedError, InternalError, UnsupportedError
from boxship.log import warn
from boxship.storage.space import exhausted

# Each script moves the schema up by one version; they are only ever appended to.
# A table of records is: id (the key), name (unique, or null), body (a JSON document).
_TABLES = (
    "images",
    "tags",
    "containers",
    "networks",
    "endpoints",
    "volumes",
    "build_cache",
    "settings",
)
_RECORD_TABLE = (
    "CREATE TABLE {name} (id TEXT PRIMARY KEY, name TEXT UNIQUE, body BLOB NOT NULL) WITHOUT ROWID;"
)
_MIGRATIONS: tuple[str, ...] = ("\n".join(_RECORD_TABLE.format(name=name) for name in _TABLES),)

# About a megabyte of log.
_STATEMENTS = 300
_LOG_SIZE = 2 << 20

Value = str | bytes | int | None


class Database:
    """One SQLite file in WAL mode, shared by every thread of the daemon behind one lock.

    `synchronous=NORMAL`: a commit is a write to the log without fsync (about 20 us instead of
    milliseconds). A crash of the daemon loses nothing; a power cut may lose the last commits but
    never damages the file, and what they described (processes, mounts) is lost with it.

    The log has its room on the disk from the start, so that what ends can be recorded, and what
    takes room removed, when the disk is full.

    SQLite moves the log into the file within an unlucky commit, which then waits 10 ms and more
    for the disk; here a thread does it.

    Raises:
        UnsupportedError: the file was written by a newer version.
        InternalError: the file is not a database or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._statements = 0
        self._checkpoint: threading.Thread | None = None
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("PRAGMA wal_autocheckpoint=0")
            self._migrate()
            _reserve(path)
        except sqlite3.DatabaseError as failure:
            hint = "free some space" if _is_full(failure) else ""
            raise InternalError(f"cannot open database {path}: {failure}", hint=hint) from failure

    def _migrate(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > len(_MIGRATIONS):
            raise UnsupportedError(
                f"database {self._path} has schema {version}, newer than {len(_MIGRATIONS)}",
                hint="use the newer version that wrote it, or another --data-root",
            )
        for number, script in enumerate(_MIGRATIONS[version:], start=version + 1):
            self._connection.executescript(
                f"BEGIN IMMEDIATE; {script} PRAGMA user_version={number}; COMMIT;"
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: roll back when the block raises. Inner transactions join the outer one.

        Other threads wait, so keep blocks short and never wait for I/O in them.
        """
        with self._lock:
            self._depth += 1
            try:
                if self._depth == 1:
                    self.execute("BEGIN IMMEDIATE")
                yield
            except BaseException:
                if self._depth == 1 and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            else:
                if self._depth == 1:
                    self.execute("COMMIT")
            finally:
                self._depth -= 1

    def execute(self, statement: str, values: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows; for the stores of this package.

        Raises:
            ExhaustedError: no space left on the disk.
            InternalError: the database failed.
            sqlite3.IntegrityError: a uniqueness rule is broken; the store above names it.
        """
        try:
            with self._lock:
                rows = self._connection.execute(statement, values).fetchall()
                self._statements += 1
                if self._statements >= _STATEMENTS and self._checkpoint is None:
                    self._start_checkpoint()
                return rows
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as failure:
            raise self._translated(failure) from failure

    def _translated(self, failure: sqlite3.DatabaseError) -> ExhaustedError | InternalError:
        if _is_full(failure):
            return exhausted(f"a record in {self._path}")
        return InternalError(f"database {self._path} failed: {failure}")

    def _start_checkpoint(self) -> None:
        self._statements = 0
        self._checkpoint = threading.Thread(target=self._run_checkpoint, name="checkpoint")
        self._checkpoint.daemon = True
        self._checkpoint.start()

    def _run_checkpoint(self) -> None:
        """Move the log into the file, by a connection of its own: writers go on meanwhile."""
        try:
            connection = sqlite3.connect(self._path)
            try:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            finally:
                connection.close()
        except sqlite3.Error as failure:
            warn(f"cannot shorten the log of database {self._path}: {failure}")
        finally:
            self._checkpoint = None

    def close(self) -> None:
        """Close the file; its log is moved into it."""
        checkpoint = self._checkpoint
        if checkpoint is not None:
            checkpoint.join()
        with self._lock:
            self._connection.close()


def _reserve(path: Path) -> None:
    """Give the log its room; SQLite overwrites it from the start, and never makes it smaller.

    Zeros behind the last frame are no frame, as is what an earlier round left there
    (sqlite.org/walformat.html).
    """
    log = path.with_name(f"{path.name}-wal")
    try:
        with log.open("r+b", buffering=0) as file:
            if os.fstat(file.fileno()).st_size < _LOG_SIZE:
                os.posix_fallocate(file.fileno(), 0, _LOG_SIZE)
    except OSError as failure:
        warn(f"the log of database {path} may not grow when the disk is full: {failure}")


def _is_full(failure: sqlite3.DatabaseError) -> bool:
    return getattr(failure, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
