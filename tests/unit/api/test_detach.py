"""Detach keys, however they arrive."""

import pytest

from boxship.api.detach import DetachKeys, keys_of, parse_keys
from boxship.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f"),
        ("CTRL-A,x", b"\x01x"),
        ("a", b"a"),
    ],
)
def test_keys(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ab", "ctrl-p,", "ö"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid detach keys"):
        parse_keys(text)


def feed(keys: DetachKeys, *pieces: bytes) -> tuple[bytes, bool]:
    passed, found = b"", False
    for piece in pieces:
        out, found = keys.filter(piece)
        passed += out
    return passed, found


@pytest.mark.parametrize(
    ("pieces", "passed", "found"),
    [
        ((b"ls\n",), b"ls\n", False),
        ((b"ls\x10\x11rest",), b"ls", True),
        ((b"ls\x10", b"\x11"), b"ls", True),
        ((b"\x10", b"x"), b"\x10x", False),
        ((b"\x10\x10\x11",), b"\x10", True),
        ((b"\x11\x10",), b"\x11", False),
    ],
)
def test_the_sequence(pieces: tuple[bytes, ...], passed: bytes, found: bool) -> None:
    assert feed(DetachKeys(b"\x10\x11"), *pieces) == (passed, found)


def test_without_a_terminal_there_are_none() -> None:
    assert feed(keys_of("", tty=False), b"\x10\x11") == (b"\x10\x11", False)
    assert feed(keys_of("", tty=True), b"\x10\x11") == (b"", True)
    assert feed(keys_of("a,b", tty=True), b"ab") == (b"", True)
