"""Control groups, version 1 and 2, behind one interface.

`hierarchies = detect()` once a process, then `open_cgroup(hierarchies, path)` for each group; what
a group can do is in `api.Cgroup`.
"""

from boxship.runtime.cgroups.hierarchies import detect, open_cgroup
from boxship.runtime.cgroups.values import CgroupMount, Hierarchies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.runtime.cgroups.api import Cgroup as Cgroup

__all__ = ["CgroupMount", "Hierarchies", "detect", "open_cgroup"]
