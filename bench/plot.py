"""A bar chart as SVG, written by hand: a plotting library would be the largest thing here."""

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

_WIDTH, _BAR, _GAP, _LEFT = 760, 18, 6, 260
_OURS, _THEIRS = "#2b6cb0", "#a0aec0"

Group = tuple[str, Sequence[tuple[str, float]], str]
"""A title, bars with their names, and the bars' unit."""


def bars(title: str, groups: Sequence[Group]) -> str:
    """The chart: for each group its bars, each group to its own scale, shorter is better."""
    parts: list[str] = []
    y = 34
    for group, values, unit in groups:
        parts.append(f'<text x="8" y="{y + 12}" font-weight="bold">{escape(group)}</text>')
        y += 22
        longest = max(*(value for _, value in values), 1e-9)
        for name, value in values:
            parts += _bar(name, f"{value:.4g} {unit}", value / longest, y)
            y += _BAR + _GAP
        y += 10
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y}"'
        ' font-family="sans-serif" font-size="13">'
        f'<rect width="{_WIDTH}" height="{y}" fill="white"/>'
        f'<text x="8" y="20" font-size="16">{escape(title)}</text>'
    )
    return head + "".join(parts) + "</svg>\n"


def _bar(name: str, label: str, share: float, y: int) -> list[str]:
    width = max((_WIDTH - _LEFT - 120) * share, 1)
    colour = _OURS if name.startswith("boxship") else _THEIRS
    return [
        f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>',
        f'<rect x="{_LEFT}" y="{y}" width="{width:.0f}" height="{_BAR}" fill="{colour}"/>',
        f'<text x="{_LEFT + width + 6:.0f}" y="{y + 13}">{escape(label)}</text>',
    ]


def write(path: Path, text: str) -> None:
    """Write a file, making its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
