import json

import pytest

from boxship.client.documents import dumps, loads
from boxship.errors import UnavailableError

VALUES = [
    None,
    True,
    -3,
    2.5,
    "text",
    'quote " and \\ and \n',
    "ü",
    [],
    [1, [2, {"a": None}]],
    {"a": {"b": [True, "x"]}},
]


@pytest.mark.parametrize("value", VALUES)
def test_what_is_written_is_what_json_writes(value):
    assert dumps(value) == json.dumps(value, separators=(",", ":")).encode()


@pytest.mark.parametrize("value", VALUES)
def test_what_json_writes_is_read(value):
    assert loads(json.dumps(value).encode()) == value


def test_spaces_around_a_document_are_no_part_of_it():
    assert loads(b' \r\n{"a": 1}\n') == {"a": 1}


@pytest.mark.parametrize("text", [b"", b"{", b"<html>", b'{"a":1} x', b"\xff"])
def test_anything_else_is_refused(text):
    with pytest.raises(UnavailableError, match="JSON"):
        loads(text)
