"""Measuring side by side: cases take turns, so that a noisy moment hits all of them."""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plot import bars, write

OUT = Path(__file__).parent / "out"


def _nothing(_round: int) -> None:
    """Most cases need nothing prepared."""


@dataclass
class Case:
    """One contender in one discipline.

    Attributes:
        group: the discipline: only cases of one group are compared.
        name: the contender; ours begins with `boxship`.
        run: one round; it raises when the contender fails.
        prepare: called with the round's number before each round, and not measured.
        seconds: what the rounds took.
    """

    group: str
    name: str
    run: Callable[[], object]
    prepare: Callable[[int], object] = _nothing
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass
class Quantity:
    """A figure that is not a time: memory, for example."""

    group: str
    name: str
    value: float
    unit: str


def options(document: str, rounds: int) -> argparse.ArgumentParser:
    """The command line that every benchmark has."""
    parser = argparse.ArgumentParser(description=document.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds, help=f"default {rounds}")
    parser.add_argument("--plot", type=Path, help="SVG to write, default bench/out/NAME.svg")
    return parser


def interleave(cases: Sequence[Case], rounds: int, *, warm_up: int = 1) -> None:
    """Run every case `rounds` times, taking turns; the first `warm_up` rounds are not counted."""
    for number in range(rounds + warm_up):
        for case in cases:
            case.prepare(number)
            start = time.perf_counter()
            case.run()
            taken = time.perf_counter() - start
            if number >= warm_up:
                case.seconds.append(taken)
        sys.stderr.write(f"\rround {number + 1 - warm_up}/{rounds} ")
        sys.stderr.flush()
    sys.stderr.write("\n")


def publish(name: str, title: str, found: Sequence[Case | Quantity], plot: Path | None) -> None:
    """Print the figures, and write them as a plot and as JSON for `bench/table.py`.

    Args:
        name: of the benchmark, which names its files.
        title: of the plot.
        found: what was measured.
        plot: file to write the plot to in place of `out/NAME.svg`.
    """
    charts = []
    document = []
    for group in dict.fromkeys(item.group for item in found):
        members = sorted((_row(item) for item in found if item.group == group), key=_figure)
        _print(group, members)
        charts.append((group, [(row["name"], row["value"]) for row in members], members[0]["unit"]))
        document.append({"group": group, "rows": members})
    plot = plot or OUT / f"{name}.svg"
    write(plot, bars(title, charts))
    write(OUT / f"{name}.json", json.dumps(document, indent=1) + "\n")
    sys.stdout.write(f"\nplot: {plot}\n")


def _row(item: Case | Quantity) -> dict[str, Any]:
    if isinstance(item, Quantity):
        return {"name": item.name, "value": item.value, "unit": item.unit, "quartiles": ()}
    milliseconds = [second * 1000 for second in item.seconds]
    spread = statistics.quantiles(milliseconds, n=4)[::2] if len(milliseconds) > 1 else ()
    return {
        "name": item.name,
        "value": item.median * 1000,
        "unit": "ms",
        "quartiles": spread,
    }


def _figure(row: dict[str, Any]) -> float:
    value: float = row["value"]
    return value


def _print(group: str, rows: Sequence[dict[str, Any]]) -> None:
    ours = min((row["value"] for row in rows if row["name"].startswith("boxship")), default=0)
    sys.stdout.write(f"\n{group}\n")
    for row in rows:
        line = f"  {row['name']:<28}{row['value']:10.2f} {row['unit']:<4}"
        if row["quartiles"]:
            low, high = row["quartiles"]
            line += f"  (quartiles {low:.1f} to {high:.1f})"
        if ours > 0:
            line += f"  {row['value'] / ours:7.1f} x"
        sys.stdout.write(line + "\n")
