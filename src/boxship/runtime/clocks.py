"""`linux.timeOffsets`: what a container's clocks are ahead by (time_namespaces(7)).

Not imported unless a document has offsets.
"""

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.kernel import KernelError, abi
from boxship.runtime.steps import Context, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.kernel.api import Kernel
    from boxship.kernel.probe import Features
    from boxship.runtime.plan import Namespaces

_CLOCKS = ("monotonic", "boottime")
_SECOND = 1_000_000_000
# A process comes into the time namespace it made for its children when it executes a program.
_ENTERED_BY_EXECUTING = (6, 3)


class SetClocks(Step):
    """Make a time namespace with offsets, which the program will be in: for who has no rights."""

    __slots__ = ("offsets",)

    def __init__(self, offsets: str) -> None:
        self.offsets = offsets

    def describe(self) -> str:
        return f"set clocks ahead by {', '.join(self.offsets.splitlines())}"

    def execute(self, context: Context) -> None:
        make_clocks(context.kernel, self.offsets)


def make_clocks(kernel: "Kernel", offsets: str) -> None:
    """Make a time namespace for the caller's children and set its clocks.

    They can only be set while no process is in it, so clone(2) with CLONE_NEWTIME will not do.

    Raises:
        InvalidArgumentError: a clock would leave its range.
    """
    kernel.unshare(abi.CLONE_NEWTIME)
    try:
        kernel.write_text("/proc/self/timens_offsets", offsets)
    except KernelError as error:
        raise InvalidArgumentError(f"cannot honour linux.timeOffsets: {error}") from error


def plan_offsets(
    wanted: "dict[str, dict[str, int] | None]",
    spaces: "Namespaces",
    features: "Features",
    *,
    unprivileged: bool,
) -> str:
    """The text for /proc/PID/timens_offsets; empty when no clock is to be set.

    Raises:
        InvalidArgumentError: an unknown clock, more than a second of nanoseconds, or no new time
            namespace.
        UnsupportedError: the kernel cannot do it for this user.
    """
    lines = []
    for clock, offset in wanted.items():
        if clock not in _CLOCKS:
            hint = f"use {' and '.join(_CLOCKS)}"
            raise InvalidArgumentError(f"unknown clock linux.timeOffsets.{clock}", hint=hint)
        seconds, nanoseconds = (offset or {}).get("secs") or 0, (offset or {}).get("nanosecs") or 0
        if nanoseconds >= _SECOND:
            field = f"linux.timeOffsets.{clock}.nanosecs"
            raise InvalidArgumentError(f"{field} {nanoseconds} is a second or more")
        lines.append(f"{clock} {seconds} {nanoseconds}")
    if lines and "time" not in spaces.new:
        msg = "linux.timeOffsets needs a new time namespace"
        raise InvalidArgumentError(msg, hint='add {"type": "time"} to linux.namespaces')
    if lines and unprivileged and features.release < _ENTERED_BY_EXECUTING:
        raise UnsupportedError("linux.timeOffsets needs root, or Linux 6.3")
    return "\n".join(lines)
