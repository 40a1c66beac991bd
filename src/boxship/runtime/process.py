"""Decide how a process becomes what `process` of the spec says, container or exec alike."""

from boxship.errors import InvalidArgumentError
from boxship.kernel import capabilities, seccomp
from boxship.runtime.console import OwnStdio, UseTerminal
from boxship.runtime.credentials import (
    BecomeUser,
    FindUser,
    ForbidNewPrivileges,
    LimitResources,
    LoadFilter,
    SetUmask,
    user_of,
)
from boxship.runtime.program import ChangeDirectory, FindProgram
from boxship.runtime.spec.refusals import check_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.kernel.probe import Features
    from boxship.runtime.steps import Step
    from boxship.runtime.tuning import Tuning

KEEP_GROUPS = "run.oci.keep_original_groups"
"""Annotation of crun's, which Podman gives for `--group-add keep-groups`."""

_TUNED = ("scheduler", "ioPriority", "execCPUAffinity")
_TUNED_ALL = ("personality", "memoryPolicy")
_UMASK = 0o022


class ProcessPlan:
    """What a process does inside its root, up to the program.

    Attributes:
        steps: in order.
        arguments: the program's.
        environment: the program's.
        directory: its working directory.
        limits: `(kind, soft, hard)` of resource limits; the parent raises hard ones first.
        profile: seccomp profile to compile, empty for none.
        init: run the program below a reaper.
        keeps_groups: it has the supplementary groups of whoever starts it.
        terminal: it has a terminal.
        descriptors: its seccomp profile lets it execute them (execveat(2)).
        labels: what the process says of its program's confinement, while the host's /proc is seen.
        size: rows and columns of its terminal; zeros to leave them.
        warnings: what was asked for and cannot be given.
        clones: its seccomp profile lets it make a process with a session of its own.
        tuning: how it is served (boxship.runtime.tuning); None for as everybody.
    """

    __slots__ = (
        "arguments",
        "clones",
        "descriptors",
        "directory",
        "environment",
        "init",
        "keeps_groups",
        "labels",
        "limits",
        "profile",
        "size",
        "steps",
        "terminal",
        "tuning",
        "warnings",
    )

    def __init__(self, process: "dict[str, Any]", profile: "dict[str, Any]") -> None:
        self.arguments: list[str] = process.get("args") or []
        self.environment = dict(
            entry.partition("=")[::2] for entry in process.get("env") or () if "=" in entry
        )
        self.directory: str = process.get("cwd") or "/"
        self.limits = tuple(
            (limit["type"], _signed(limit["soft"]), _signed(limit["hard"]))
            for limit in process.get("rlimits") or ()
        )
        self.profile = profile
        self.init = bool(process.get("init"))
        self.keeps_groups = False
        self.terminal = bool(process.get("terminal"))
        self.descriptors = seccomp.permits(profile, "execveat")
        # clone3 is tried first; its failure alone is no harm. An agent is told of the process that
        # it will see.
        self.clones = (
            seccomp.survives(profile, "clone3")
            and all(seccomp.permits(profile, name) for name in ("clone", "prctl", "setsid"))
            and not seccomp.needs_listener(profile)
        )
        size = process.get("consoleSize") or {}
        self.size: tuple[int, int] = (size.get("height") or 0, size.get("width") or 0)
        self.labels: list[Step] = []
        self.warnings: list[str] = []
        self.tuning: Tuning | None = None
        self.steps: list[Step] = []


def plan_process(
    process: "dict[str, Any] | None",
    spec: "dict[str, Any]",
    features: "Features",
    *,
    joining: bool = False,
) -> ProcessPlan:
    """Plan a process.

    Args:
        process: OCI process object. Extensions: `user.username` (`user[:group]`),
            `user.additionalGroupNames`, `init` (run it below a reaper).
        spec: the container's document, for what holds for all its processes.
        features: what the kernel can do.
        joining: it is one more process of a running container.

    Raises:
        InvalidArgumentError: something required is missing, or means nothing.
        UnsupportedError: a field cannot be honoured.
    """
    if not process or not process.get("args"):
        raise InvalidArgumentError("the spec has no process.args: there is nothing to run")
    check_process(process)
    linux = spec.get("linux") or {}
    profile = linux.get("seccomp") or {}
    if profile:
        _check_agent(profile)
    plan = ProcessPlan(process, profile)
    plan.keeps_groups = KEEP_GROUPS in (spec.get("annotations") or ())
    if not plan.directory.startswith("/"):
        raise InvalidArgumentError(f"process.cwd {plan.directory!r} is not an absolute path")
    if any(map(process.get, _TUNED)) or any(map(linux.get, _TUNED_ALL)):
        from boxship.runtime.tuning import plan_tuning  # noqa: PLC0415 - rare

        plan.tuning = plan_tuning(process, linux, joining=joining)
    if process.get("apparmorProfile") or process.get("selinuxLabel"):
        from boxship.runtime.labels import plan_labels  # noqa: PLC0415 - rare

        plan.labels = plan_labels(process, features)
    plan.steps = _steps(plan, process, features)
    return plan


def _check_agent(profile: "dict[str, Any]") -> None:
    path, where = profile.get("listenerPath"), "linux.seccomp.listener"
    if not path and profile.get("listenerMetadata"):
        raise InvalidArgumentError(f"{where}Metadata is set without {where}Path")
    if not path and seccomp.needs_listener(profile):
        raise InvalidArgumentError(f"SCMP_ACT_NOTIFY is used without {where}Path")


def _steps(plan: ProcessPlan, process: "dict[str, Any]", features: "Features") -> "list[Step]":
    sets = _capabilities(plan, process.get("capabilities") or {}, features.last_capability)
    user = process.get("user") or {}
    confined = bool(process.get("noNewPrivileges"))
    mask = user.get("umask")
    steps: list[Step] = [UseTerminal()] if plan.terminal else []
    if plan.tuning is not None:
        steps += plan.tuning.steps
    steps += [FindUser(user_of(user)), OwnStdio(), ChangeDirectory(plan.directory)]
    if plan.profile and not confined:
        # Without no_new_privs the kernel takes a filter from CAP_SYS_ADMIN only (seccomp(2)).
        steps.append(LoadFilter())
    become = BecomeUser(sets, features.last_capability)
    become.keeps_groups = plan.keeps_groups
    steps.append(become)
    if plan.limits:
        steps.append(LimitResources(plan.limits))
    steps.append(SetUmask(_UMASK if mask is None else mask))
    if confined:
        steps.append(ForbidNewPrivileges())
    steps.append(FindProgram(plan.arguments[0]))
    if plan.profile and confined:
        steps.append(LoadFilter())
    return steps


def _capabilities(
    plan: ProcessPlan, listed: "dict[str, list[str] | None]", last: int
) -> "dict[str, int]":
    """The sets; what is in none of them is a warning (OCI runtime spec, "capabilities")."""
    sets, missing = {}, set()
    for name, words in listed.items():
        sets[name], unknown = capabilities.known(words or (), last)
        missing.update(unknown)
    if missing:
        plan.warnings.append(f"unknown capabilities are left out: {' '.join(sorted(missing))}")
    excess = sets.get("effective", 0) & ~sets.get("permitted", 0)
    if excess:
        lost = " ".join(capabilities.names(excess))
        plan.warnings.append(f"not permitted, and so not effective capabilities: {lost}")
    return sets


def _signed(value: int) -> int:
    """RLIM_INFINITY of the spec (2**64 - 1) as -1."""
    return -1 if value >= 1 << 63 else value
