"""Real-time budgets of the groups above a container, which version 1 wants granted level by level.

Documentation/scheduler/sched-rt-group.rst: a new group's budget is 0, and no group may give its
children more than it has. Only the groups that are this program's own get a budget here.
"""

import os
from itertools import pairwise

from boxship.runtime.cgroups import files

_RUNTIME = "cpu.rt_runtime_us"
_PERIOD = "cpu.rt_period_us"


def grant(directory: str, levels: int, runtime: int, period: int | None) -> None:
    """Give the groups above one as much as those below them have, and it is going to have.

    A group that has more keeps it; one that may not have so much is left as it is, for the kernel
    to refuse the container's budget.

    Args:
        directory: of the container's group on the cpu hierarchy.
        levels: how many groups above it may be changed.
        runtime: microseconds of a period that it is going to have.
        period: in microseconds; None keeps the one it has.
    """
    share = runtime / (period or _number(directory, _PERIOD) or 1_000_000)
    above = [directory]
    for _ in range(levels):
        above.append(os.path.dirname(above[-1]))  # noqa: PTH120 - pathlib is slow to import
    needed = share
    wanted: list[tuple[str, float]] = []
    for below, parent in pairwise(above):
        others = [child for child in files.children(parent) if child != below]
        needed = max(needed + sum(map(_share, others)), _share(parent))
        wanted.append((parent, needed))
    for parent, total in reversed(wanted):
        # Rounded up: a microsecond less would refuse what was asked for.
        budget = int(total * _number(parent, _PERIOD)) + 1
        if total > _share(parent):
            try:
                files.write(parent, _RUNTIME, str(budget))
            except OSError:
                return


def _share(directory: str) -> float:
    period = _number(directory, _PERIOD)
    return _number(directory, _RUNTIME) / period if period else 0.0


def _number(directory: str, name: str) -> int:
    return files.whole(files.read_or(directory, name, ""))
