"""Fields of a runtime document that this runtime does not carry out: refused by name.

OCI runtime spec, "create": a property that cannot be applied is an error. To leave one out in
silence would start a container with less than its document asks for.
"""

from boxship.errors import InvalidArgumentError, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PROCESS = {
    "apparmorProfile": "AppArmor profiles are not supported",
    "selinuxLabel": "SELinux labels are not supported",
}
_LINUX = {
    "mountLabel": "SELinux labels are not supported",
    "intelRdt": "cache and memory bandwidth classes (resctrl) are not supported",
    "netDevices": "moving network devices is not supported",
}


def check_process(process: "dict[str, Any]") -> None:
    """Refuse what a process object asks for in vain.

    Raises:
        UnsupportedError: a field of it cannot be honoured; named.
        InvalidArgumentError: a resource is limited twice (OCI runtime spec, "rlimits").
    """
    _refuse("process", process, _PROCESS)
    seen = set()
    for limit in process.get("rlimits") or ():
        kind = limit.get("type")
        if kind in seen:
            raise InvalidArgumentError(f"process.rlimits has {kind} more than once")
        seen.add(kind)


def check_linux(linux: "dict[str, Any]") -> None:
    """Refuse what the `linux` object asks for in vain.

    Raises:
        UnsupportedError: a field of it cannot be honoured; named.
    """
    _refuse("linux", linux, _LINUX)


def _refuse(where: str, found: "dict[str, Any]", refused: "dict[str, str]") -> None:
    for name, reason in refused.items():
        if found.get(name):
            msg = f"cannot honour {where}.{name}: {reason}"
            raise UnsupportedError(msg, hint="leave the field out of config.json")
