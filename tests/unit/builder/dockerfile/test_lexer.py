"""Logical lines, directives and heredocs."""

import pytest

from boxship.builder.dockerfile.errors import DockerfileError
from boxship.builder.dockerfile.lexer import lex


def texts(source: str) -> list[tuple[int, str]]:
    return [(line.number, line.text) for line in lex(source).lines]


def test_continuations_join_and_comments_inside_vanish():
    source = "FROM a\n\n# note\nRUN one \\\n  # inner\n\n  two \\\n  three\nCMD x\n"
    assert texts(source) == [(1, "FROM a"), (4, "RUN one   two   three"), (9, "CMD x")]


def test_an_empty_continuation_line_is_worth_a_warning():
    assert lex("RUN a \\\n\n b").warnings
    assert not lex("RUN a \\\n\n").warnings


def test_doubled_escape_at_the_end_is_no_continuation():
    assert texts("RUN a\\\\\nCMD b") == [(1, "RUN a\\\\"), (2, "CMD b")]


def test_continuation_mark_may_be_followed_by_blanks():
    assert texts("RUN a \\  \nb") == [(1, "RUN a b")]


def test_windows_line_ends_and_byte_order_mark():
    assert texts("\ufeffFROM a\r\nRUN b \\\r\n c\r\n") == [(1, "FROM a"), (2, "RUN b  c")]


def test_escape_directive():
    lexed = lex("# escape=`\nFROM a\nRUN x `\n y\nCOPY a c:\\\n")
    assert lexed.escape == "`"
    assert [line.text for line in lexed.lines] == ["FROM a", "RUN x  y", "COPY a c:\\"]


def test_directives_end_at_the_first_other_line():
    assert lex("#syntax=docker/dockerfile:1\n# Escape = `\n").directives == {
        "syntax": "docker/dockerfile:1",
        "escape": "`",
    }
    assert lex("# about\n# escape=`\n").escape == "\\"
    assert lex("# unknown=x\n# escape=`\n").escape == "\\"
    assert lex("FROM a\n# escape=`\n").escape == "\\"


@pytest.mark.parametrize("source", ["# escape=x\nFROM a", "# escape=`\n# escape=`\nFROM a"])
def test_bad_directives(source: str):
    with pytest.raises(DockerfileError):
        lex(source)


def test_heredocs_keep_their_lines():
    source = "RUN <<EOF\necho 1 \\\n# kept\n\nEOF\nCMD x"
    run, command = lex(source).lines
    (heredoc,) = run.heredocs
    assert heredoc.content == "echo 1 \\\n# kept\n\n"
    assert heredoc.expand
    assert (run.number, run.end) == (1, 5)
    assert (command.number, command.text) == (6, "CMD x")


def test_quoted_and_chomped_heredocs():
    source = "COPY <<-'A' <<\"B\" 3<<C /d/\n\t\tone\n\tA\ntwo\nB\nthree\nC\n"
    (line,) = lex(source).lines
    names = [(h.name, h.content, h.expand, h.descriptor) for h in line.heredocs]
    assert names == [
        ("A", "one\n", False, ""),
        ("B", "two\n", False, ""),
        ("C", "three\n", True, "3"),
    ]


def test_heredoc_only_where_it_makes_sense():
    assert lex("ENV A=<<EOF\nFROM x").lines[0].heredocs == ()
    assert lex('RUN echo "<<EOF"\nCMD x').lines[0].heredocs == ()
    assert lex("ONBUILD RUN <<E\nx\nE").lines[0].heredocs[0].content == "x\n"


def test_unterminated_heredoc_names_its_line():
    with pytest.raises(DockerfileError, match="on line 2: unterminated heredoc EOF"):
        lex("FROM a\nRUN <<EOF\nfoo")
