"""Zombies that no pidfd stands for.

The keeper is a child subreaper, because an exec session's process is the grandchild of the
launcher. So it also inherits what containers that share the host's pid namespace leave behind, and
the steps in between; nobody else will reap them.
"""

import os
from collections.abc import Callable


def reap_strangers(is_known: Callable[[int], bool]) -> None:
    """Reap children that ended and are not known; stop at the first that is.

    The known one's pidfd is about to report it, and the caller comes back with its SIGCHLD.
    """
    while True:
        try:
            info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if info is None or is_known(info.si_pid):
            return
        os.waitpid(info.si_pid, 0)
