"""How a process is served: processor, block devices, memory nodes, and what it takes uname for.

Rare fields of a container's document: not imported unless one of them is there.
"""

import os
import struct

from boxship.kernel import abi
from boxship.kernel import foreign as ctypes
from boxship.kernel._libc import KernelError, check, declare

TYPE_CHECKING = False  # the typing modules are slow to import
if TYPE_CHECKING:
    from collections.abc import Iterable

# asm/unistd.h of x86-64; the rest follow asm-generic/unistd.h.
_NUMBERS = {"x86_64": (314, 251, 238)}
_SYS_SCHED_SETATTR, _SYS_IOPRIO_SET, _SYS_SET_MEMPOLICY = _NUMBERS.get(
    os.uname().machine, (274, 30, 237)
)
# struct sched_attr of linux/sched/types.h (kernel 3.14), without the utilization hints of 5.3
_SCHED_ATTR = struct.Struct("=IIQiIQQQ")
_LONG_BITS = 64

_sched_setattr = declare("syscall", ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_ioprio_set = declare("syscall", ctypes.c_long, ctypes.c_int, ctypes.c_int, ctypes.c_int)
_set_mempolicy = declare("syscall", ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_ulong)
_personality = declare("personality", ctypes.c_ulong)


class Schedule:
    """A scheduling policy and its parameters (sched_setattr(2)).

    Attributes:
        policy: SCHED_* number.
        flags: SCHED_FLAG_* bits.
        nice: of SCHED_OTHER and SCHED_BATCH.
        priority: of SCHED_FIFO and SCHED_RR.
        runtime: of SCHED_DEADLINE, in nanoseconds, as the next two.
        deadline: as runtime.
        period: as runtime.
    """

    __slots__ = ("deadline", "flags", "nice", "period", "policy", "priority", "runtime")

    def __init__(self, policy: int, flags: int, nice: int, priority: int) -> None:
        self.policy = policy
        self.flags = flags
        self.nice = nice
        self.priority = priority
        self.runtime = 0
        self.deadline = 0
        self.period = 0


def set_scheduler(pid: int, schedule: Schedule) -> None:
    """Give a process a scheduling policy (sched_setattr(2), kernel 3.14).

    Raises:
        KernelError: EPERM without CAP_SYS_NICE, or in a control group without real-time budget;
            EINVAL for a combination that does not exist; EBUSY when deadlines cannot be kept.
    """
    packed = _SCHED_ATTR.pack(
        _SCHED_ATTR.size,
        schedule.policy,
        schedule.flags,
        schedule.nice,
        schedule.priority,
        schedule.runtime,
        schedule.deadline,
        schedule.period,
    )
    result = _sched_setattr(_SYS_SCHED_SETATTR, pid, packed, 0)
    check(result, "sched_setattr", f"policy {schedule.policy}")


def set_io_priority(pid: int, group: int, level: int) -> None:
    """Give a process a class and a level of I/O priority (ioprio_set(2)).

    Raises:
        KernelError: EPERM for the real-time class without CAP_SYS_ADMIN or CAP_SYS_NICE.
    """
    value = group << abi.IOPRIO_CLASS_SHIFT | level
    result = _ioprio_set(_SYS_IOPRIO_SET, abi.IOPRIO_WHO_PROCESS, pid, value)
    check(result, "ioprio_set", f"class {group} level {level}")


def set_memory_policy(mode: int, nodes: "Iterable[int]") -> None:
    """Say on which nodes the calling thread's memory shall lie (set_mempolicy(2)).

    Args:
        mode: MPOL_* with its MPOL_F_* bits.
        nodes: numbers of the nodes.

    Raises:
        KernelError: EINVAL when the mode wants other nodes, or none of them may be used; ENOSYS
            for a kernel without CONFIG_NUMA.
    """
    bits = sum(1 << node for node in frozenset(nodes))
    words = bits.bit_length() // _LONG_BITS + 1
    mask = bits.to_bytes(words * 8, "little" if struct.pack("=H", 1)[0] else "big")
    # The kernel takes one bit less than it is told (get_nodes() in mm/mempolicy.c).
    size = words * _LONG_BITS + 1 if bits else 0
    result = _set_mempolicy(_SYS_SET_MEMPOLICY, mode, mask if bits else None, size)
    check(result, "set_mempolicy", f"mode {mode:#x} nodes {bits:#x}")


def set_personality(persona: int) -> None:
    """Set the execution domain of the calling thread (personality(2))."""
    check(_personality(persona), "personality", hex(persona))


def affinity() -> "frozenset[int]":
    """The processors that the calling thread may run on."""
    return frozenset(os.sched_getaffinity(0))


def set_affinity(cpus: "Iterable[int]") -> None:
    """Let the calling thread run on these processors only (sched_setaffinity(2)).

    Raises:
        KernelError: EINVAL when none of them may be used.
    """
    listed = sorted(cpus)
    try:
        os.sched_setaffinity(0, listed)
    except OSError as error:
        raise KernelError(error.errno or 0, "sched_setaffinity", str(listed)) from error
