import pytest

from boxship.errors import InvalidArgumentError
from boxship.runtime.oci.arguments import Option, parse

OPTIONS = (
    Option("bundle", "", short="b"),
    Option("env", "", short="e", repeated=True),
    Option("detach", "", short="d", switch=True),
    Option("count", ""),
)


@pytest.mark.parametrize(
    "words", [["--bundle", "/b", "id"], ["--bundle=/b", "id"], ["-b", "/b", "id"], ["-b=/b", "id"]]
)
def test_every_way_to_write_a_value(words):
    arguments = parse(words, OPTIONS)
    assert arguments.text("bundle") == "/b"
    assert arguments.rest == ["id"]


def test_options_end_at_the_first_other_word():
    arguments = parse(["-d", "id", "-d", "--env"], OPTIONS)
    assert arguments.rest == ["id", "-d", "--env"]
    assert parse(["--", "-d"], OPTIONS).rest == ["-d"]


def test_switches_and_repetition():
    arguments = parse(["-d", "-e", "A=1", "--env=B=2"], OPTIONS)
    assert arguments.has("detach")
    assert not arguments.has("bundle")
    assert arguments.every("env") == ["A=1", "B=2"]
    assert not parse(["--detach=false"], OPTIONS).has("detach")


@pytest.mark.parametrize(
    ("words", "text"),
    [(["--nope"], "unknown option --nope"), (["--bundle"], "option --bundle needs a value")],
)
def test_mistakes(words, text):
    with pytest.raises(InvalidArgumentError, match=text):
        parse(words, OPTIONS)


def test_numbers():
    assert parse(["--count", "7"], OPTIONS).number("count") == 7
    with pytest.raises(InvalidArgumentError, match="--count needs a number, not 'x'"):
        parse(["--count", "x"], OPTIONS).number("count")


def test_switches_in_one_word():
    options = (*OPTIONS, Option("tty", "", short="t", switch=True))
    arguments = parse(["-td", "id"], options)
    assert arguments.has("tty")
    assert arguments.has("detach")
    assert arguments.rest == ["id"]
    for word in ("-tb", "-tx", "--td"):
        with pytest.raises(InvalidArgumentError, match=f"unknown option {word}"):
            parse([word, "id"], options)
