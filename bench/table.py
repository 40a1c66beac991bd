"""The figures of the last runs as a Markdown table; `--write` puts it into the README.

python bench/table.py [--write]
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from harness import OUT

_README = Path(__file__).parents[1] / "README.md"
_BEGIN, _END = "<!-- bench:start -->", "<!-- /bench -->"
_ORDER = ("start", "exec", "parallel", "density", "listing", "images", "build")


def rows(document: list[dict[str, Any]]) -> list[str]:
    """A line for each discipline: ours, then each peer with how many times ours it takes."""
    lines = []
    for group in document:
        ours = next((r for r in group["rows"] if r["name"].startswith("boxship")), None)
        if ours is None:
            continue
        peers = [_peer(row, ours["value"]) for row in group["rows"] if row is not ours]
        figure = _figure(ours["value"], ours["unit"])
        lines.append(f"| {group['group']} | **{figure}** | {', '.join(peers)} |")
    return lines


def _peer(row: dict[str, Any], ours: float) -> str:
    text = f"{row['name']} {_figure(row['value'], row['unit'])}"
    return f"{text} ({row['value'] / ours:.1f} x)" if ours > 0 else text


def _figure(value: float, unit: str) -> str:
    if unit == "ms" and value >= 1000:
        return f"{value / 1000:.2g} s" if value < 10_000 else f"{value / 1000:.0f} s"
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.2g} {unit}"


def table() -> str:
    lines = ["| | boxship | beside it |", "|---|---|---|"]
    for name in _ORDER:
        path = OUT / f"{name}.json"
        if path.exists():
            lines += rows(json.loads(path.read_text()))
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put it into README.md")
    if not parser.parse_args().write:
        sys.stdout.write(table())
        return
    before, _, rest = _README.read_text().partition(_BEGIN)
    after = rest.partition(_END)[2]
    _README.write_text(f"{before}{_BEGIN}\n{table()}{_END}{after}")


if __name__ == "__main__":
    main()
