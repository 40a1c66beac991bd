"""Control groups, version 1 and 2, behind one interface.

`hierarchies = detect()` once a process, then `open_cgroup(hierarchies, path)` for each group.
"""

from boxship.runtime.cgroups.api import Cgroup, CgroupMount, CgroupStats, Hierarchies, IoStat
from boxship.runtime.cgroups.hierarchies import detect, open_cgroup

__all__ = [
    "Cgroup",
    "CgroupMount",
    "CgroupStats",
    "Hierarchies",
    "IoStat",
    "detect",
    "open_cgroup",
]
