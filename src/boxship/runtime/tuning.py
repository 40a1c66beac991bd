"""`process.scheduler`, `ioPriority`, `execCPUAffinity`, `linux.personality` and `memoryPolicy`.

Not imported unless a document has one of them: most have none.
"""

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.kernel import KernelError
from boxship.kernel.scheduling import Schedule
from boxship.runtime.steps import Context, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.kernel.api import Kernel

# linux/sched.h
_POLICIES = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
_REAL_TIME = ("SCHED_FIFO", "SCHED_RR")
_DEADLINE = "SCHED_DEADLINE"
_RESET_ON_FORK = "SCHED_FLAG_RESET_ON_FORK"
_FLAGS = {
    _RESET_ON_FORK: 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}
# __checkparam_dl() of the kernel's kernel/sched/deadline.c, in nanoseconds
_LEAST_RUNTIME, _MOST_RUNTIME = 1 << 10, (1 << 63) - 1
# linux/ioprio.h
_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
_LEVELS = range(8)
_NICE = range(-20, 20)
# linux/mempolicy.h
MEMORY_MODES = {
    "MPOL_DEFAULT": 0,
    "MPOL_PREFERRED": 1,
    "MPOL_BIND": 2,
    "MPOL_INTERLEAVE": 3,
    "MPOL_LOCAL": 4,
    "MPOL_PREFERRED_MANY": 5,
    "MPOL_WEIGHTED_INTERLEAVE": 6,
}
"""Modes of `linux.memoryPolicy`."""
MEMORY_FLAGS = {
    "MPOL_F_NUMA_BALANCING": 1 << 13,
    "MPOL_F_RELATIVE_NODES": 1 << 14,
    "MPOL_F_STATIC_NODES": 1 << 15,
}
"""Flags of `linux.memoryPolicy`."""
# linux/personality.h
_PERSONAS = {"LINUX": 0x0, "LINUX32": 0x8}
# Above any processor or node that Linux can have.
_MOST = 1 << 13
_ALL = frozenset(range(_MOST))


class Tuning:
    """What the parent does to a new process: it has the rights to, whoever the process becomes.

    Attributes:
        schedule: None to leave it.
        io_priority: class and level; None to leave it.
        initial: processors to start on, before the control group is entered; empty to leave it.
        steps: what the process does to itself.
    """

    __slots__ = ("initial", "io_priority", "schedule", "steps")

    def __init__(self) -> None:
        self.schedule: Schedule | None = None
        self.io_priority: tuple[int, int] | None = None
        self.initial: frozenset[int] = frozenset()
        self.steps: list[Step] = []

    def apply(self, kernel: "Kernel", pid: int) -> None:
        """Do the parent's part.

        Raises:
            BoxshipError: the kernel refuses; naming the field.
        """
        field = "process.ioPriority"
        try:
            if self.io_priority is not None:
                kernel.set_io_priority(pid, *self.io_priority)
            field = "process.scheduler"
            if self.schedule is not None:
                kernel.set_scheduler(pid, self.schedule)
        except KernelError as error:
            raise UnsupportedError(f"cannot honour {field}: {error}") from error


class SetPersonality(Step):
    """Have uname tell of another kind of machine."""

    __slots__ = ("persona",)

    def __init__(self, persona: int) -> None:
        self.persona = persona

    def describe(self) -> str:
        return f"set personality {self.persona:#x}"

    def execute(self, context: Context) -> None:
        context.kernel.set_personality(self.persona)


class SetMemoryPolicy(Step):
    """Say on which nodes memory shall lie."""

    __slots__ = ("mode", "nodes")

    def __init__(self, mode: int, nodes: "frozenset[int]") -> None:
        self.mode = mode
        self.nodes = nodes

    def describe(self) -> str:
        return f"set memory policy {self.mode:#x} on nodes {sorted(self.nodes)}"

    def execute(self, context: Context) -> None:
        try:
            context.kernel.set_memory_policy(self.mode, self.nodes)
        except KernelError as error:
            raise UnsupportedError(f"cannot honour linux.memoryPolicy: {error}") from error


class SetAffinity(Step):
    """Run on some processors only, now that the control group is entered."""

    __slots__ = ("cpus",)

    def __init__(self, cpus: "frozenset[int]") -> None:
        self.cpus = cpus

    def describe(self) -> str:
        return f"run on processors {'all' if self.cpus == _ALL else sorted(self.cpus)}"

    def execute(self, context: Context) -> None:
        try:
            context.kernel.set_affinity(self.cpus)
        except KernelError as error:
            msg = f"cannot honour process.execCPUAffinity: {error}"
            raise UnsupportedError(msg) from error


def plan_tuning(process: "dict[str, Any]", linux: "dict[str, Any]", *, joining: bool) -> Tuning:
    """Decide how a process is to be served.

    Args:
        process: OCI process object.
        linux: of the container's document.
        joining: it is an exec process, which execCPUAffinity is for.

    Raises:
        InvalidArgumentError: a value has no meaning, alone or beside the others.
        UnsupportedError: no kernel can do it.
    """
    tuning = Tuning()
    if process.get("scheduler"):
        tuning.schedule = _schedule(process["scheduler"], joining=joining)
    if process.get("ioPriority"):
        tuning.io_priority = _io_priority(process["ioPriority"])
    persona = linux.get("personality") or {}
    if persona:
        tuning.steps += _personality(persona)
    if linux.get("memoryPolicy"):
        tuning.steps.append(_memory_policy(linux["memoryPolicy"]))
    affinity = process.get("execCPUAffinity") or {}
    if joining and affinity:
        field = "process.execCPUAffinity"
        tuning.initial = _numbers(f"{field}.initial", affinity.get("initial") or "")
        final = _numbers(f"{field}.final", affinity.get("final") or "")
        if tuning.initial and not final:
            # The kernel leaves out what is not there, and what the control group does not have.
            final = _ALL
        if final:
            tuning.steps.append(SetAffinity(final))
    return tuning


def _schedule(wanted: "dict[str, Any]", *, joining: bool) -> Schedule:
    where, name = "process.scheduler", wanted["policy"]
    if name == "SCHED_ISO":
        raise UnsupportedError(f"cannot honour {where}.policy SCHED_ISO: Linux does not have it")
    policy = _named(f"{where}.policy", name, _POLICIES)
    words = wanted.get("flags") or ()
    flags = 0
    for word in words:
        flags |= _named(f"{where}.flags", word, _FLAGS)
    nice, priority = wanted.get("nice") or 0, wanted.get("priority") or 0
    if nice not in _NICE:
        raise InvalidArgumentError(f"{where}.nice {nice} is not between -20 and 19")
    if priority and name not in _REAL_TIME:
        raise InvalidArgumentError(f"{where}.priority is for SCHED_FIFO and SCHED_RR, not {name}")
    schedule = Schedule(policy, flags, nice, priority)
    for field in ("runtime", "deadline", "period"):
        value = wanted.get(field) or 0
        if value and name != _DEADLINE:
            raise InvalidArgumentError(f"{where}.{field} is for SCHED_DEADLINE, not {name}")
        setattr(schedule, field, value)
    if name == _DEADLINE:
        _check_deadline(wanted)
    if joining and (_RESET_ON_FORK in words or name == _DEADLINE):
        # The process that is seen in the container is a child of the one that joins it.
        what = _RESET_ON_FORK if _RESET_ON_FORK in words else _DEADLINE
        raise UnsupportedError(f"cannot honour {where} of an exec process: {what} ends at a fork")
    return schedule


def _check_deadline(wanted: "dict[str, Any]") -> None:
    """As the kernel does, which says EINVAL only; crun's tests match the words.

    Raises:
        InvalidArgumentError: a time is missing, or they are not in order.
    """
    where = f"process.scheduler: sched_setattr: `{_DEADLINE}`"
    for field in ("runtime", "deadline"):
        if wanted.get(field) is None:
            raise InvalidArgumentError(f"{where} requires `{field}`")
    runtime, deadline, period = (wanted.get(f) or 0 for f in ("runtime", "deadline", "period"))
    if not runtime:
        raise InvalidArgumentError(f"{where} runtime must be greater than 0")
    if not _LEAST_RUNTIME <= runtime <= _MOST_RUNTIME:
        bounds = f"{_LEAST_RUNTIME} and {_MOST_RUNTIME} ns"
        raise InvalidArgumentError(f"{where} runtime {runtime} must be between {bounds}")
    if runtime > deadline:
        raise InvalidArgumentError(f"{where} runtime {runtime} must be <= deadline {deadline}")
    if period and deadline > period:
        raise InvalidArgumentError(f"{where} deadline {deadline} must be <= period {period}")


def _io_priority(wanted: "dict[str, Any]") -> tuple[int, int]:
    level = wanted.get("priority") or 0
    if level not in _LEVELS:
        raise InvalidArgumentError(f"process.ioPriority.priority {level} is not between 0 and 7")
    return _named("process.ioPriority.class", wanted["class"], _CLASSES), level


def _personality(wanted: "dict[str, Any]") -> "list[Step]":
    if wanted.get("flags"):
        # OCI runtime spec, "Personality": there are none yet.
        raise InvalidArgumentError(f"unknown linux.personality.flags {wanted['flags'][0]!r}")
    persona = _named("linux.personality.domain", wanted.get("domain") or "LINUX", _PERSONAS)
    return [SetPersonality(persona)]


def _memory_policy(wanted: "dict[str, Any]") -> Step:
    mode = _named("linux.memoryPolicy.mode", wanted.get("mode") or "", MEMORY_MODES)
    for word in wanted.get("flags") or ():
        mode |= _named("linux.memoryPolicy.flags", word, MEMORY_FLAGS)
    return SetMemoryPolicy(mode, _numbers("linux.memoryPolicy.nodes", wanted.get("nodes") or ""))


def _named(field: str, word: str, known: "dict[str, int]") -> int:
    if word not in known:
        raise InvalidArgumentError(f"unknown {field} {word!r}", hint=f"use {', '.join(known)}")
    return known[word]


def _numbers(field: str, text: str) -> "frozenset[int]":
    """The numbers of a list with ranges: `0-3,7`."""
    found: set[int] = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        first, dash, last = (word.strip() for word in part.partition("-"))
        last = last if dash else first
        if not (_is_number(first) and _is_number(last) and int(first) <= int(last)):
            raise InvalidArgumentError(f"{field} {text!r} is not a list like 0-3,7")
        found.update(range(int(first), int(last) + 1))
    return frozenset(found)


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) < 6 and int(word) < _MOST
