"""Word expansion, checked against what a POSIX shell and the Dockerfile reference say."""

import pytest

from boxship.builder.dockerfile.shell import Expander
from boxship.errors import InvalidArgumentError

VARIABLES = {"x": "foobarbaz", "empty": "", "path": "/a/b/c.tar.gz", "two": "a b", "w": "s"}


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("plain", "plain"),
        ("$x", "foobarbaz"),
        ("${x}y", "foobarbazy"),
        ("$xy", ""),
        ("$x-y", "foobarbaz-y"),
        ("a$", "a$"),
        ("$/a", "$/a"),
        ("$1x", "x"),
        ("'$x'", "$x"),
        ('"$x"', "foobarbaz"),
        ('"a\\"b"', 'a"b'),
        ('"\\$x \\n"', "$x \\n"),
        ("\\$x", "$x"),
        ("a\\ b", "a b"),
        ("'it''s'", "its"),
        ("${unset:-d}", "d"),
        ("${empty:-d}", "d"),
        ("${empty-d}", ""),
        ("${unset-d}", "d"),
        ("${x:-d}", "foobarbaz"),
        ("${x:+set}", "set"),
        ("${empty:+set}", ""),
        ("${empty+set}", "set"),
        ("${unset+set}", ""),
        ("${unset:-$x}", "foobarbaz"),
        ("${unset:-${nope:-deep}}", "deep"),
        ("${unset:-'a}b'}", "a}b"),
        ("${x#foo}", "barbaz"),
        ("${x#*ba}", "rbaz"),
        ("${x##*ba}", "z"),
        ("${x%ba*}", "foobar"),
        ("${x%%ba*}", "foo"),
        ("${x%nomatch}", "foobarbaz"),
        ("${path##*/}", "c.tar.gz"),
        ("${path%.*}", "/a/b/c.tar"),
        ("${path%%.*}", "/a/b/c"),
        ("${x/ba/BA}", "fooBArbaz"),
        ("${x//ba/BA}", "fooBArBAz"),
        ("${x//b?r/-}", "foo-baz"),
        ("${x/o*/}", "f"),
        ("${x:?must}", "foobarbaz"),
    ],
)
def test_word(text: str, want: str):
    assert Expander(VARIABLES).word(text) == want


@pytest.mark.parametrize(
    "text", ["'open", '"open', "${x", "${}", "${x;y}", "${unset:?}", "${x:zz}", "${x" * 60]
)
def test_errors(text: str):
    with pytest.raises(InvalidArgumentError):
        Expander(VARIABLES).word(text)


def test_the_question_mark_says_its_words():
    with pytest.raises(InvalidArgumentError, match="nope: give it"):
        Expander({}).word("${nope:?give it}")


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("$two c", ["a", "b", "c"]),
        ('"$two" c', ["a b", "c"]),
        ("x$two", ["xa", "b"]),
        ("$unset", []),
        ("'' a", ["", "a"]),
        ("80 $w", ["80", "s"]),
    ],
)
def test_words(text: str, want: list[str]):
    assert Expander(VARIABLES).words(text) == want


def test_heredoc_bodies_keep_quotes():
    body = "a '$x' \"${w}\" \\$x \\n\n"
    assert Expander(VARIABLES).heredoc(body) == "a 'foobarbaz' \"s\" $x \\n\n"


def test_backtick_escape_leaves_backslashes_alone():
    assert Expander(VARIABLES, "`").word("c:\\$w `$x") == "c:\\s $x"


def test_what_was_looked_up_is_known():
    expander = Expander(VARIABLES)
    expander.word("$x ${nope:-1}")
    assert expander.used == {"x", "nope"}
    assert expander.missing == {"nope"}
