"""Templates, tables and values as Docker prints them."""

import pytest

from boxship.cli.flags import UsageError
from boxship.cli.format.human import ago, binary_size, ellipsis, short_id, size, span
from boxship.cli.format.tables import Layout, listing, table
from boxship.cli.format.template import Template

DOCUMENT = {
    "Id": "abc",
    "Name": "web",
    "State": {"Running": True, "Pid": 12},
    "Labels": {"a": "b", "c.d": "e"},
    "Args": ["x", "y"],
    "Empty": [],
    "ApiVersion": "1.51",
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.Name}}", "web"),
        ("a{{ .Name }}b", "awebb"),
        ("{{.State.Running}}", "true"),
        ("{{.ID}} {{.APIVersion}}", "abc 1.51"),
        ("{{.Labels}}", "map[a:b c.d:e]"),
        ("{{.Args}}", "[x y]"),
        ("{{json .Labels}}", '{"a":"b","c.d":"e"}'),
        ('{{index .Labels "c.d"}}', "e"),
        ("{{index .Args 1}}", "y"),
        ("{{len .Args}}", "2"),
        ('{{join .Args ","}}', "x,y"),
        ("{{range .Args}}<{{.}}>{{end}}", "<x><y>"),
        ("{{range $i, $a := .Args}}{{$i}}={{$a}} {{end}}", "0=x 1=y "),
        ("{{range $k, $v := .Labels}}{{$k}}:{{$v}};{{end}}", "a:b;c.d:e;"),
        ("{{range .Empty}}x{{else}}none{{end}}", "none"),
        ('{{if eq .Name "web"}}yes{{else}}no{{end}}', "yes"),
        ("{{if .Empty}}a{{else if .Name}}b{{end}}", "b"),
        ("{{with .State}}{{.Pid}}{{end}}", "12"),
        ("{{.Name | upper}}", "WEB"),
        ("{{(index .Args 0) | printf `%q`}}", '"x"'),
        ("{{$.Name}}", "web"),
        ("{{- .Name -}} !", "web!"),
        ("{{/* nothing */}}x", "x"),
        ('{{printf "%s-%d" .Name .State.Pid}}', "web-12"),
        ("{{lower .Name}}{{title .Name}}", "webWeb"),
        ('{{truncate .Name 2}}{{split "a/b" "/"}}', "we[a b]"),
    ],
)
def test_templates(template, text):
    assert Template(template).render(DOCUMENT) == text


@pytest.mark.parametrize(
    "template",
    ["{{.Nope}}", "{{nope .Name}}", "{{if .Name}}", "{{end}}", "{{.Name", "{{$x}}", "{{.Name.X}}"],
)
def test_wrong_templates_are_refused(template):
    with pytest.raises(UsageError, match="template"):
        Template(template).render(DOCUMENT)


def test_columns_are_at_least_ten_wide_and_three_apart():
    assert table(("A", "LONG HEADER", "C"), [("1", "2", "3"), ("123456789", "x", "")]) == (
        "A           LONG HEADER   C\n1           2             3\n123456789   x\n"
    )
    assert table(("PORTS", "NAMES"), []) == "PORTS     NAMES\n"


LAYOUT = Layout({"Id": "ID", "Name": "NAME"}, ("Id", "Name"))
ROWS = [{"Id": "1", "Name": "a"}, {"Id": "2", "Name": "b"}]


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("", "ID        NAME\n1         a\n2         b\n"),
        ("table", "ID        NAME\n1         a\n2         b\n"),
        ("json", '{"Id":"1","Name":"a"}\n{"Id":"2","Name":"b"}\n'),
        ("{{.Name}}", "a\nb\n"),
        (r"{{.Name}}\t{{.Id}}", "a\t1\nb\t2\n"),
        (r"table {{.Name}}\t{{.Id}}", "NAME      ID\na         1\nb         2\n"),
    ],
)
def test_listings(layout, text):
    assert listing(ROWS, LAYOUT, layout) == text


def test_values_for_people():
    assert short_id("sha256:" + "a" * 64) == "a" * 12
    assert size(2_140_000) == "2.14MB"
    assert size(999) == "999B"
    assert binary_size(1536) == "1.5KiB"
    assert span(0) == "Less than a second"
    assert ago(7200) == "2 hours ago"
    assert ellipsis("a" * 30, 10) == "a" * 9 + "…"
    assert ellipsis("short", 10) == "short"
