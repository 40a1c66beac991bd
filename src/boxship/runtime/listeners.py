"""Sockets that a service manager opened for the program (sd_listen_fds(3)).

Whoever starts the runtime says LISTEN_FDS=n and leaves them open from descriptor 3 on; the program
is told the same, with its own process id.
"""

import os
import resource

from boxship.errors import InvalidArgumentError
from boxship.runtime.steps import Context, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_FIRST = 3
_NAMES = "LISTEN_FDNAMES"


class AnnounceListeners(Step):
    """Tell the program in its environment which descriptors are its sockets."""

    __slots__ = ("count", "names")

    def __init__(self, count: int) -> None:
        self.count = count
        self.names = os.environ.get(_NAMES, "")

    def describe(self) -> str:
        return f"hand {self.count} sockets over"

    def execute(self, context: Context) -> None:
        context.environment["LISTEN_FDS"] = str(self.count)
        # By its own pid namespace.
        context.environment["LISTEN_PID"] = str(os.getpid())
        if self.names:
            context.environment[_NAMES] = self.names


def inherited(environment: "Mapping[str, str]") -> int:
    """How many sockets were handed to this process for the container; 0 when they are not for it.

    Raises:
        InvalidArgumentError: LISTEN_FDS is no number.
    """
    word, owner = environment["LISTEN_FDS"], environment.get("LISTEN_PID", "")
    if not word or owner not in ("", str(os.getpid())):
        return 0
    if not (word.isascii() and word.isdecimal()):
        raise InvalidArgumentError(f"LISTEN_FDS={word} is not a number of sockets")
    return int(word)


def hold_numbers(count: int) -> None:
    """Take the descriptors from 3 on that are to be kept but are not open, until the program runs.

    What the runtime opens itself would get these numbers, and would be kept. Nothing can be reached
    by what is opened here: the container's program may be named by its number (CVE-2024-21626).

    Raises:
        InvalidArgumentError: more than a process can have.
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if _FIRST + count > most:
        msg = f"cannot keep {count} descriptors: this process may have {most}"
        raise InvalidArgumentError(msg, hint="raise the limit (ulimit -n)")
    for descriptor in range(_FIRST, _FIRST + count):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest that is free is this one.
            if os.eventfd(0, os.EFD_CLOEXEC) != descriptor:
                msg = f"cannot keep {count} descriptors: {descriptor} cannot be one"
                raise InvalidArgumentError(msg) from None
