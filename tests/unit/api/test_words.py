"""Texts that Docker's clients and their users read: times, spans, sizes, progress, credentials."""

import base64

import pytest

from boxship.api.translate.credentials import from_config_header, from_header
from boxship.api.translate.progress import bar, human_size
from boxship.api.translate.times import human_duration, parse_time, rfc3339, rfc3339_fixed
from boxship.errors import InvalidArgumentError
from boxship.model.registry import Credentials

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


def test_times() -> None:
    assert rfc3339(0) == "0001-01-01T00:00:00Z"
    assert rfc3339(NOW) == "2023-11-14T22:13:20Z"
    assert rfc3339(NOW + 120_000_000) == "2023-11-14T22:13:20.12Z"
    assert rfc3339_fixed(NOW + 120_000_000) == "2023-11-14T22:13:20.120000000Z"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("", 0),
        ("0", 0),
        ("1700000000", NOW),
        ("1700000000.5", NOW + SECOND // 2),
        ("1700000000.000000001", NOW + 1),
        ("10m", NOW - 600 * SECOND),
        ("1h30m", NOW - 5400 * SECOND),
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14T23:13:20.000000001+01:00", NOW + 1),
        ("2023-11-14", NOW - 80000 * SECOND),
    ],
)
def test_since_and_until(text: str, time: int) -> None:
    assert parse_time(text, NOW) == time


@pytest.mark.parametrize("text", ["yesterday", "10x", "2023-13-01", "1.2.3"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid time"):
        parse_time(text, NOW)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (120, "2 minutes"),
        (3600, "About an hour"),
        (5400, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_spans(seconds: int, words: str) -> None:
    assert human_duration(seconds * SECOND) == words


def test_sizes_and_bars() -> None:
    assert [human_size(n) for n in (0, 999, 1000, 1234567, 5 * 10**9)] == [
        "0B",
        "999B",
        "1kB",
        "1.235MB",
        "5GB",
    ]
    assert bar(0, 0) == ""
    assert bar(512, 0) == "512B"
    assert bar(50, 100) == "[" + "=" * 24 + ">" + " " * 25 + "]  50B/100B"
    assert bar(100, 100) == "[" + "=" * 50 + ">]  100B/100B"


def header(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def test_credentials_in_headers() -> None:
    given = from_header(header('{"username":"u","password":"p?>~","serveraddress":"r:5000"}'))
    assert given == Credentials("u", "p?>~", server_address="r:5000")
    legacy = header('{"auth":"' + base64.b64encode(b"u:p:q").decode() + '"}')
    assert from_header(legacy) == Credentials("u", "p:q")
    assert from_header(header("{}")) is None
    assert from_header("%%%") is None
    assert from_header("") is None


def test_credentials_by_host() -> None:
    value = header('{"r:5000":{"username":"u","password":"p"}}')
    assert from_config_header(value) == {"r:5000": Credentials("u", "p")}
    assert from_config_header("garbage") == {}
