"""Listings: columns as Docker prints them, or what `--format` asks for."""

from boxship.cli.format.functions import to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Row = Mapping[str, object]

# As Docker's tabwriter: at least ten characters a column, three of them blank after the longest.
_GAP = 3
_LEAST = 10


def table(headers: "Sequence[str]", rows: "Sequence[Sequence[str]]") -> str:
    """Left-aligned columns, the last one unpadded."""
    lines = [list(headers), *(list(row) for row in rows)]
    widths = [
        max(_LEAST, _GAP + max(len(line[index]) for line in lines)) for index in range(len(headers))
    ]
    return "".join(
        "".join(
            cell if index == len(line) - 1 else f"{cell:<{widths[index]}}"
            for index, cell in enumerate(line)
        ).rstrip()
        + "\n"
        for line in lines
    )


class Layout:
    """What a listing can show.

    Attributes:
        headers: the heading of each field.
        columns: fields of the default table.
    """

    __slots__ = ("columns", "headers")

    def __init__(self, headers: "Mapping[str, str]", columns: "Sequence[str]") -> None:
        self.headers = headers
        self.columns = columns


def listing(rows: "Sequence[Row]", layout: Layout, text: str) -> str:
    """A listing in the layout that `--format` asks for.

    Args:
        rows: every field that a template may name.
        layout: what there is to show.
        text: empty or `table` for that table, `json`, `table TEMPLATE`, or a template.
    """
    headers = layout.headers
    if text in ("", "table"):
        return table(
            [headers[name] for name in layout.columns],
            [[str(row[name]) for name in layout.columns] for row in rows],
        )
    if text == "json":
        return "".join(to_json(dict(row)) + "\n" for row in rows)
    from boxship.cli.format.template import Template  # noqa: PLC0415 - few listings need it

    tabular = text.startswith("table ")
    pattern = text.removeprefix("table ") if tabular else text
    template = Template(pattern.replace("\\t", "\t").replace("\\n", "\n"))
    lines = [template.render(row) for row in rows]
    if not tabular:
        return "".join(line + "\n" for line in lines)
    heading = template.render(headers)
    return table(heading.split("\t"), [_cells(line, heading) for line in lines])


def _cells(line: str, heading: str) -> "list[str]":
    cells = line.split("\t")
    return cells + [""] * (heading.count("\t") + 1 - len(cells))
