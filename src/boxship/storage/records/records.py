"""Records: JSON documents by id and by unique name."""

import sqlite3
from collections.abc import Iterator
from typing import Literal, NamedTuple

from boxship.errors import ConflictError, NotFoundError
from boxship.storage.records.database import Database

Table = Literal[
    "images",
    "tags",
    "containers",
    "networks",
    "endpoints",
    "volumes",
    "build_cache",
    "settings",
]


class Record(NamedTuple):
    """One row: its id, its unique name if it has one, and its JSON document."""

    id: str
    name: str | None
    body: bytes


class Records:
    """The records of one table; what the document means is the caller's business."""

    def __init__(self, database: Database, table: Table) -> None:
        self._database = database
        self._table = table
        # The statements are made once: sqlite3 caches prepared ones by their text.
        self._insert = f"INSERT INTO {table} (id, name, body) VALUES (?, ?, ?)"  # noqa: S608
        self._upsert = (
            f"INSERT INTO {table} (id, name, body) VALUES (?, ?, ?) "  # noqa: S608
            "ON CONFLICT (id) DO UPDATE SET name = excluded.name, body = excluded.body"
        )
        self._update = f"UPDATE {table} SET body = ? WHERE id = ? RETURNING id"  # noqa: S608
        self._rename = f"UPDATE {table} SET name = ?, body = ? WHERE id = ? RETURNING id"  # noqa: S608
        self._get = f"SELECT id, name, body FROM {table} WHERE id = ?"  # noqa: S608
        self._by_name = f"SELECT id, name, body FROM {table} WHERE name = ?"  # noqa: S608
        self._by_prefix = f"SELECT id, name, body FROM {table} WHERE id >= ? AND id < ?"  # noqa: S608
        self._list = f"SELECT id, name, body FROM {table} ORDER BY id"  # noqa: S608
        self._delete = f"DELETE FROM {table} WHERE id = ? RETURNING id"  # noqa: S608
        self._count = f"SELECT COUNT(*) FROM {table}"  # noqa: S608

    def insert(self, key: str, name: str | None, body: bytes) -> None:
        """Add a record.

        Raises:
            ConflictError: the id or the name is taken.
        """
        self._write(self._insert, (key, name, body), key, name)

    def put(self, key: str, name: str | None, body: bytes) -> None:
        """Add the record, or replace the name and document of the one with this id.

        Raises:
            ConflictError: the name is another record's.
        """
        self._write(self._upsert, (key, name, body), key, name)

    def update(self, key: str, body: bytes) -> None:
        """Replace a record's document.

        Raises:
            NotFoundError: no record has this id.
        """
        if not self._database.execute(self._update, (body, key)):
            raise self._missing(key)

    def rename(self, key: str, name: str | None, body: bytes) -> None:
        """Replace a record's name and document.

        Raises:
            NotFoundError: no record has this id.
            ConflictError: the name is another record's.
        """
        if not self._write(self._rename, (name, body, key), key, name):
            raise self._missing(key)

    def get(self, key: str) -> Record:
        """The record with this id.

        Raises:
            NotFoundError: there is none.
        """
        rows = self._database.execute(self._get, (key,))
        if not rows:
            raise self._missing(key)
        return Record(*rows[0])

    def find(self, key: str) -> Record | None:
        rows = self._database.execute(self._get, (key,))
        return Record(*rows[0]) if rows else None

    def by_name(self, name: str) -> Record | None:
        rows = self._database.execute(self._by_name, (name,))
        return Record(*rows[0]) if rows else None

    def by_prefix(self, prefix: str) -> list[Record]:
        """The records whose id begins with this text: short ids."""
        return [
            Record(*row)
            for row in self._database.execute(self._by_prefix, (prefix, prefix + "\U0010ffff"))
        ]

    def delete(self, key: str) -> bool:
        """Remove the record; tell whether it was there."""
        return bool(self._database.execute(self._delete, (key,)))

    def list(self) -> "list[Record]":
        """Every record, by id."""
        return [Record(*row) for row in self._database.execute(self._list)]

    def __iter__(self) -> Iterator[Record]:
        return iter(self.list())

    def __len__(self) -> int:
        ((count,),) = self._database.execute(self._count)
        return int(count)

    def _write(
        self,
        statement: str,
        values: tuple[str | bytes | None, ...],
        key: str,
        name: str | None,
    ) -> bool:
        """Run the statement; tell whether it returned a row (RETURNING: a row was changed)."""
        try:
            return bool(self._database.execute(statement, values))
        except sqlite3.IntegrityError as failure:
            raise self._conflict(key, name, failure) from failure

    def _conflict(self, key: str, name: str | None, failure: Exception) -> ConflictError:
        taken = name if str(failure).endswith(".name") else key
        return ConflictError(f"{taken!r} is already in use in {self._table}")

    def _missing(self, key: str) -> NotFoundError:
        return NotFoundError(f"no record {key!r} in {self._table}")
