""".dockerignore rules, cases after the Dockerfile reference."""

import pytest

from boxship.builder.dockerfile.ignore import IgnoreRules, match_path, parse_ignore
from boxship.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("patterns", "path", "excluded"),
    [
        (["*/temp*"], "somedir/temporary.txt", True),
        (["*/temp*"], "temporary.txt", False),
        (["*/temp*"], "a/b/temp", False),
        (["*/*/temp*"], "somedir/subdir/temporary.txt", True),
        (["temp?"], "tempa", True),
        (["temp?"], "temp", False),
        (["**/*.go"], "main.go", True),
        (["**/*.go"], "a/b/main.go", True),
        (["**/*.go"], "a/b/main.god", False),
        (["*.md", "!README.md"], "README.md", False),
        (["*.md", "!README.md"], "NOTES.md", True),
        (["*.md", "!README*.md", "README-secret.md"], "README-secret.md", True),
        (["*.md", "README-secret.md", "!README*.md"], "README-secret.md", False),
        (["node_modules"], "node_modules/a/b", True),
        (["node_modules"], "x/node_modules", False),
        (["dir", "!dir/keep"], "dir/keep", False),
        (["dir", "!dir/keep"], "dir/drop", True),
        (["/foo/bar/"], "foo/bar", True),
        (["*"], "a/b", True),
        (["*", "!src"], "src/main.c", False),
        (["**"], "a", True),
        (["**/node"], "node", True),
        (["a/**/z"], "a/z", True),
        (["a/**/z"], "a/b/c/z", True),
        (["a/**"], "a", False),
        (["a/**"], "a/b", True),
        (["[a-c].txt"], "b.txt", True),
        (["[^a-c].txt"], "b.txt", False),
        (["\\!x"], "!x", True),
        (["a.b"], "aXb", False),
    ],
)
def test_excludes(patterns: list[str], path: str, excluded: bool):
    assert IgnoreRules(patterns).excludes(path) is excluded


def test_pruning_never_loses_an_exception():
    rules = IgnoreRules(["dir", "!dir/keep/x*", "other"])
    assert not rules.prunes("dir")
    assert not rules.prunes("dir/keep")
    assert rules.prunes("dir/drop")
    assert rules.prunes("other")
    assert not IgnoreRules(["a", "!**/b"]).prunes("a")


def test_the_file_format():
    text = "\ufeff# comment\n\n  *.log  \n!keep.log\n #not-a-comment\n"
    assert parse_ignore(text) == ("*.log", "!keep.log", "#not-a-comment")


@pytest.mark.parametrize("text", ["!\n", "[a\n"])
def test_bad_patterns(text: str):
    with pytest.raises(InvalidArgumentError):
        parse_ignore(text)


def test_source_wildcards_stay_in_their_directory():
    assert match_path("*.txt", "a.txt")
    assert not match_path("*.txt", "d/a.txt")
    assert match_path("d/?.txt", "d/a.txt")
    assert not match_path("**", "d/a")
