"""Records: unique ids and names, all-or-nothing transactions, and a file that survives a kill."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxship.errors import ConflictError, InternalError, NotFoundError, UnsupportedError
from boxship.storage.records.database import Database
from boxship.storage.records.records import Record, Records


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "boxship.db")
    yield database
    database.close()


@pytest.fixture
def records(database: Database) -> Records:
    return Records(database, "containers")


def test_insert_find_delete(records: Records) -> None:
    records.insert("abc123", "web", b"{}")
    expected = Record("abc123", "web", b"{}")
    assert records.get("abc123") == expected
    assert records.find("abc123") == expected
    assert records.by_name("web") == expected
    assert records.by_prefix("abc") == [expected]
    assert records.by_prefix("abd") == []
    assert list(records) == [expected]
    assert len(records) == 1
    assert records.delete("abc123")
    assert not records.delete("abc123")
    assert records.find("abc123") is None
    with pytest.raises(NotFoundError, match="abc123"):
        records.get("abc123")


def test_names_and_ids_are_unique(records: Records) -> None:
    records.insert("a", "web", b"{}")
    with pytest.raises(ConflictError, match="'web' is already in use"):
        records.insert("b", "web", b"{}")
    with pytest.raises(ConflictError, match="'a' is already in use"):
        records.insert("a", "other", b"{}")
    records.insert("c", None, b"{}")
    records.insert("d", None, b"{}")
    with pytest.raises(ConflictError):
        records.rename("c", "web", b"{}")


def test_update_rename_put(records: Records) -> None:
    records.insert("a", "web", b"1")
    records.update("a", b"2")
    assert records.get("a") == ("a", "web", b"2")
    records.rename("a", "www", b"3")
    assert records.by_name("web") is None
    assert records.by_name("www") == ("a", "www", b"3")
    records.put("a", None, b"4")
    records.put("b", "web", b"5")
    assert [record.body for record in records.list()] == [b"4", b"5"]
    for change in (lambda: records.update("x", b""), lambda: records.rename("x", "n", b"")):
        with pytest.raises(NotFoundError):
            change()


def test_a_failed_transaction_changes_nothing(database: Database, records: Records) -> None:
    def fail() -> None:
        with database.transaction():
            records.insert("a", None, b"")
            with database.transaction():
                records.insert("b", None, b"")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert records.list() == []
    with database.transaction():
        records.insert("a", None, b"")
    assert len(records) == 1


def test_threads_take_turns(database: Database, records: Records) -> None:
    def insert(prefix: str) -> None:
        for number in range(50):
            with database.transaction():
                records.insert(f"{prefix}{number}", None, b"")

    threads = [threading.Thread(target=insert, args=(prefix,)) for prefix in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(records) == 200


def test_what_was_written_is_there_after_a_crash(tmp_path: Path) -> None:
    first = Database(tmp_path / "db")
    Records(first, "volumes").insert("v", "v", b"{}")
    # Not closed: the second connection finds the log as a killed daemon leaves it.
    second = Database(tmp_path / "db")
    assert Records(second, "volumes").by_name("v") is not None
    first.close()
    second.close()


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "db")
    connection.execute("PRAGMA user_version=9999")
    connection.close()
    with pytest.raises(UnsupportedError, match="9999"):
        Database(tmp_path / "db")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(InternalError, match="cannot open database"):
        Database(tmp_path / "db")


def test_a_record_costs_little(records: Records) -> None:
    """Create, update and delete are on the start path: far below 0.3 ms each."""
    rounds = 200
    begin = time.perf_counter()
    for number in range(rounds):
        records.insert(str(number), f"name{number}", b"x" * 4000)
        records.update(str(number), b"y" * 4000)
        records.delete(str(number))
    assert (time.perf_counter() - begin) / (3 * rounds) < 0.002


def test_the_log_stays_short(database: Database, records: Records, tmp_path: Path) -> None:
    for number in range(2000):
        records.put("one", None, b"%d" % number * 1000)
    database.close()
    again = Database(tmp_path / "boxship.db")
    assert Records(again, "containers").get("one").body == b"1999" * 1000
    again.close()
    # Without checkpoints it would hold all 2000 versions: 16 MB.
    assert (tmp_path / "boxship.db").stat().st_size < 1_000_000
