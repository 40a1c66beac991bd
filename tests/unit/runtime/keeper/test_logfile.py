import json
import resource
from pathlib import Path

import pytest

from boxship.errors import InvalidArgumentError
from boxship.runtime.keeper.logfile import LogFile, open_log, rfc3339_nano, split_lines
from boxship.runtime.keeper.messages import LogTarget

NOON = 1_700_000_000_120_000_000


def at_noon() -> int:
    return NOON


def make(path: Path, max_size: int = 0, max_file: int = 1) -> LogFile:
    return LogFile(LogTarget(str(path), max_size, max_file), at_noon)


def texts(path: Path) -> list[str]:
    return [json.loads(line)["log"] for line in path.read_text().splitlines()]


def test_a_record_is_what_docker_writes(tmp_path):
    log = make(tmp_path / "log")
    log.append("stderr", [b'say "hi" \\ \x1b[0m\t\xc3\xa9 \xff\r\n'])
    log.close()
    assert (tmp_path / "log").read_text() == (
        '{"log":"say \\"hi\\" \\\\ \\u001b[0m\\t\u00e9 \ufffd\\r\\n",'
        '"stream":"stderr","time":"2023-11-14T22:13:20.12Z"}\n'
    )


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (NOON, "2023-11-14T22:13:20.12Z"),
    ],
)
def test_times_have_no_trailing_zeros(nanoseconds, text):
    assert rfc3339_nano(nanoseconds) == text


def test_lines_are_cut_at_16_kib_and_never_within_a_character():
    assert split_lines(b"a\n\nb") == ([b"a\n", b"\n"], b"b")
    assert split_lines(b"x" * 16384) == ([], b"x" * 16384)
    assert split_lines(b"x" * 16385) == ([b"x" * 16384], b"x")
    assert split_lines(b"x" * 16384 + b"\n") == ([b"x" * 16384 + b"\n"], b"")
    euro = "\u20ac".encode()
    lines, rest = split_lines(euro * 6000)
    assert b"".join(lines) + rest == euro * 6000
    assert all(line.decode() for line in lines)
    assert split_lines(b"\x80" * 20000)[0] == [b"\x80" * 16384]


def test_a_log_is_continued(tmp_path):
    for text in (b"one\n", b"two\n"):
        log = make(tmp_path / "log")
        log.append("stdout", [text])
        log.close()
    assert texts(tmp_path / "log") == ["one\n", "two\n"]


def test_a_full_file_is_rotated_and_the_oldest_goes(tmp_path):
    log = make(tmp_path / "log", max_size=250, max_file=3)
    for number in range(12):
        log.append("stdout", [f"line {number:02}\n".encode()])
    log.append("stdout", [b"l\n"] * 5)
    log.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert all(path.stat().st_size <= 250 for path in tmp_path.iterdir())
    kept = texts(tmp_path / "log.2") + texts(tmp_path / "log.1") + texts(tmp_path / "log")
    assert kept[-5:] == ["l\n"] * 5


def test_with_one_file_the_log_starts_over(tmp_path):
    log = make(tmp_path / "log", max_size=200)
    log.append("stdout", [b"old\n"] * 2)
    log.append("stdout", [b"new\n"])
    log.close()
    assert [p.name for p in tmp_path.iterdir()] == ["log"]
    assert texts(tmp_path / "log")[-1] == "new\n"


def test_a_record_bigger_than_the_file_is_written_all_the_same(tmp_path):
    log = make(tmp_path / "log", max_size=10, max_file=2)
    log.append("stdout", [b"one\n"])
    log.append("stdout", [b"two\n"])
    log.close()
    assert texts(tmp_path / "log.1") + texts(tmp_path / "log") == ["one\n", "two\n"]


def test_a_full_disk_drops_output_and_cuts_no_record(tmp_path):
    log = make(tmp_path / "log")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (250, hard))
    try:
        log.append("stdout", [b"one\n", b"two\n", b"three\n", b"four\n"])
        log.append("stdout", [b"five\n"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert log.dropped > 0
    log.append("stdout", [b"six\n"])
    log.close()
    assert texts(tmp_path / "log") == ["one\n", "two\n", "three\n", "six\n"]


def test_no_space_at_all_is_survived():
    log = LogFile(LogTarget("/dev/full"), at_noon)
    log.append("stdout", [b"one\n"])
    assert log.dropped > 0
    log.close()


def test_a_log_whose_directory_went_away_goes_on(tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir()
    log = make(directory / "log", max_size=100, max_file=2)
    log.append("stdout", [b"one\n"])
    (directory / "log").unlink()
    directory.rmdir()
    log.append("stdout", [b"two\n"])
    log.close()


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "log").symlink_to("/dev/null")
    with pytest.raises(InvalidArgumentError, match="cannot be opened"):
        open_log(LogTarget(str(tmp_path / "log")), at_noon)
    assert open_log(None, at_noon) is None
