import json

import pytest

from boxship.errors import InvalidArgumentError, NotFoundError
from boxship.runtime.spec import document

VALUES = [
    {"a": [1, 2.5, -3, True, False, None], "b": {"c": 'ü\n"\\ \ud83d\ude00'}},
    [],
    "text",
    18446744073709551615,
]


@pytest.mark.parametrize("value", VALUES)
def test_what_is_written_is_read_again_by_both(value):
    assert json.loads(document.dumps(value)) == document.loads(document.dumps(value))
    assert document.loads(json.dumps(value)) == json.loads(json.dumps(value))


def test_blanks_around_a_document():
    assert document.loads('\n\t {"a": 1} \r\n') == {"a": 1}


@pytest.mark.parametrize(
    "text", ["", "  ", "{", '{"a": }', "[1,]", "{} x", "nul", "NaN", "[1e999]", "-Infinity"]
)
def test_what_is_not_json(text):
    with pytest.raises(ValueError, match=r"."):
        document.loads(text)


def test_nesting_without_end():
    with pytest.raises(ValueError, match="nested too deeply"):
        document.loads("[" * 100_000)


def test_files(tmp_path):
    path = tmp_path / "x.json"
    document.write(str(path), {"a": 1})
    assert document.read(str(path)) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]
    path.write_text("{")
    with pytest.raises(InvalidArgumentError, match=f"{path} is not JSON"):
        document.read(str(path))
    with pytest.raises(NotFoundError, match="does not exist"):
        document.read(f"{path}.none")
