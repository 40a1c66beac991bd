"""Profiles and labels of AppArmor and SELinux, where the kernel has them in force.

Not imported unless a document has one.
"""

import errno

from boxship.errors import UnsupportedError
from boxship.kernel import KernelError
from boxship.runtime.filesystem.mounting import MountFilesystem
from boxship.runtime.steps import Context, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.kernel.probe import Features

_APPARMOR = "AppArmor is not active on this host"
_SELINUX = "SELinux is not active on this host"
_HINT = "leave the field out of config.json"
# File systems that SELinux labels by itself.
_LABELLED = ("proc", "sysfs", "cgroup", "cgroup2")


class SetExecLabel(Step):
    """Say what the program is to be confined by when it is executed (attr of proc(5)).

    Through the host's /proc, while it can be seen: one in the container may be something else, and
    take the profile for itself (CVE-2019-16884).

    Attributes:
        files: below /proc/self/attr; the first that exists is written.
    """

    __slots__ = ("field", "files", "text")

    def __init__(self, field: str, files: "tuple[str, ...]", text: str) -> None:
        self.field = field
        self.files = files
        self.text = text

    def describe(self) -> str:
        return f"confine the program: {self.text} to {' or '.join(self.files)}"

    def execute(self, context: Context) -> None:
        for name in self.files:
            try:
                context.kernel.write_text(f"/proc/self/attr/{name}", self.text)
            except KernelError as error:
                if error.errno == errno.ENOENT and name != self.files[-1]:
                    continue
                raise UnsupportedError(f"cannot honour {self.field}: {error}") from error
            return


def plan_labels(process: "dict[str, Any]", features: "Features") -> "list[Step]":
    """What confines a program.

    Raises:
        UnsupportedError: the host has no such confinement in force.
    """
    steps: list[Step] = []
    profile, label = process.get("apparmorProfile"), process.get("selinuxLabel")
    if profile:
        field = "process.apparmorProfile"
        if not features.apparmor:
            raise UnsupportedError(f"cannot honour {field}: {_APPARMOR}", hint=_HINT)
        # The first since Linux 5.8: it is AppArmor's also where another module comes before it.
        steps.append(SetExecLabel(field, ("apparmor/exec", "exec"), f"exec {profile}"))
    if label:
        field = "process.selinuxLabel"
        if not features.selinux:
            raise UnsupportedError(f"cannot honour {field}: {_SELINUX}", hint=_HINT)
        steps.append(SetExecLabel(field, ("exec",), label))
    return steps


def label_mounts(label: str, steps: "list[Step]", features: "Features") -> None:
    """Have new file systems show one label for all their files (`context=` of mount(8)).

    Raises:
        UnsupportedError: SELinux is not in force.
    """
    if not features.selinux:
        raise UnsupportedError(f"cannot honour linux.mountLabel: {_SELINUX}", hint=_HINT)
    for step in steps:
        if isinstance(step, MountFilesystem) and step.kind not in _LABELLED:
            step.add_parameter("context", label)
