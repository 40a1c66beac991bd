import asyncio
import json
from pathlib import Path

import pytest

from boxship.engine.logs.jsonfile import files_of, parse_time, tail_start
from boxship.engine.logs.reader import Ending, read_log
from boxship.engine.values import LogEntry, LogQuery
from boxship.model.container import Container, ContainerConfig, HostConfig
from boxship.model.digest import Digest
from boxship.runtime.keeper.logfile import LogFile
from boxship.runtime.keeper.messages import LogTarget

BASE = 1_700_000_000


def line(text: str, second: int = 0, stream: str = "stdout") -> str:
    stamp = f"2023-11-14T22:13:{20 + second:02}.5Z"
    return json.dumps({"log": text, "stream": stream, "time": stamp}) + "\n"


def container(path: Path) -> Container:
    return Container(
        "c" * 64,
        "c",
        0,
        Digest("sha256:" + "0" * 64),
        ContainerConfig("i"),
        HostConfig(),
        log_path=str(path),
    )


def read(path: Path, **query: object) -> list[LogEntry]:
    async def collect() -> list[LogEntry]:
        wanted = LogQuery(**query)  # type: ignore[arg-type]
        return [one async for one in read_log(container(path), wanted, Ending(done=True))]

    return asyncio.run(collect())


def texts(entries: list[LogEntry]) -> list[str]:
    return [entry.data.decode() for entry in entries]


def test_entries_have_stream_time_and_data(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(line("out\n") + line("err\n", 1, "stderr"))
    assert read(path) == [
        LogEntry(1, BASE * 10**9 + 500_000_000, b"out\n"),
        LogEntry(2, (BASE + 1) * 10**9 + 500_000_000, b"err\n"),
    ]


def test_pieces_of_a_line_are_joined_by_stream(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(
        line("a") + line("x\n", 1, "stderr") + line("b") + line("c\n") + line("no newline", 2)
    )
    assert texts(read(path)) == ["x\n", "abc\n", "no newline"]


def test_streams_since_and_until(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(line(f"{n}\n", n, "stderr" if n % 2 else "stdout") for n in range(6)))
    assert texts(read(path, stderr=False)) == ["0\n", "2\n", "4\n"]
    assert texts(read(path, since=(BASE + 3) * 10**9)) == ["3\n", "4\n", "5\n"]
    assert texts(read(path, until=(BASE + 2) * 10**9)) == ["0\n", "1\n"]


@pytest.mark.parametrize(
    ("tail", "expected"),
    [(0, []), (1, ["e\n"]), (2, ["cd\n", "e\n"]), (9, ["a\n", "b\n", "cd\n", "e\n"])],
)
def test_a_tail_counts_lines_of_output(tmp_path: Path, tail: int, expected: list[str]) -> None:
    path = tmp_path / "log"
    path.write_text(line("a\n") + line("b\n") + line("c") + line("d\n") + line("e\n"))
    assert texts(read(path, tail=tail)) == expected


def test_a_tail_of_one_stream_goes_on_behind_the_other(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(
        line("o1\n") + line("o2\n") + "".join(line("e\n", 0, "stderr") for _ in range(5))
    )
    assert texts(read(path, tail=1, stderr=False)) == ["o2\n"]


def test_a_tail_reads_only_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(line(f"{n}\n") for n in range(20_000)))
    with path.open("rb") as file:
        start, found = tail_start(file.fileno(), 3, (1, 2))
        assert found == 3
        file.seek(start)
        assert [json.loads(raw)["log"] for raw in file] == ["19997\n", "19998\n", "19999\n"]


def test_a_tail_spans_rotated_files(tmp_path: Path) -> None:
    path = tmp_path / "log"
    (tmp_path / "log.2").write_text(line("1\n") + line("2\n"))
    (tmp_path / "log.1").write_text(line("3\n"))
    path.write_text(line("4\n"))
    assert [file.name for file in files_of(path)] == ["log.2", "log.1", "log"]
    assert texts(read(path)) == ["1\n", "2\n", "3\n", "4\n"]
    assert texts(read(path, tail=3)) == ["2\n", "3\n", "4\n"]


def test_broken_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(line("a\n") + '{"log": "cut\n' + line("b\n") + '{"log":"unfinished')
    assert texts(read(path)) == ["a\n", "b\n"]
    assert texts(read(path, tail=1)) == ["b\n"]


def test_no_log_yet(tmp_path: Path) -> None:
    assert read(tmp_path / "log") == []
    assert read(tmp_path / "log", tail=5) == []


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2023-11-14T22:13:20Z", BASE * 10**9),
        ("2023-11-14T22:13:20.000000001Z", BASE * 10**9 + 1),
        ("2023-11-14T22:13:20.12Z", BASE * 10**9 + 120_000_000),
        ("nonsense", 0),
    ],
)
def test_times(text: str, nanoseconds: int) -> None:
    assert parse_time(text) == nanoseconds


@pytest.mark.parametrize("max_file", [1, 3])
def test_following_goes_on_over_rotations_until_the_end(tmp_path: Path, max_file: int) -> None:
    path = tmp_path / "log"

    async def scenario() -> list[str]:
        log = LogFile(LogTarget(str(path), 400, max_file))
        ending = Ending(done=False)
        seen: list[str] = []
        enough = asyncio.Event()

        async def follow() -> None:
            async for entry in read_log(container(path), LogQuery(follow=True), ending):
                seen.append(entry.data.decode())
                if len(seen) % 10 == 0:
                    enough.set()

        task = asyncio.ensure_future(follow())
        for batch in range(4):
            for number in range(10):
                log.append("stdout", [b"%d\n" % (batch * 10 + number)])
                # Let the reader keep up, as a log of one small file demands.
                await asyncio.sleep(0.001)
            await enough.wait()
            enough.clear()
        log.append("stdout", [b"last words"])
        log.close()
        ending.finish()
        await task
        return seen

    assert asyncio.run(asyncio.wait_for(scenario(), 10)) == [
        *(f"{number}\n" for number in range(40)),
        "last words",
    ]
    assert len(files_of(path)) == max_file
