"""The units of root's power: names, numbers and the sets of a process (capabilities(7)).

A set is an int with bit n for capability n.
"""

import struct

from boxship.errors import InvalidArgumentError
from boxship.kernel import foreign as ctypes
from boxship.kernel._libc import check, declare

TYPE_CHECKING = False  # the typing modules are slow to import
if TYPE_CHECKING:
    from collections.abc import Iterable

# linux/capability.h: the position is the number.
NAMES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
_NUMBERS = {name: index for index, name in enumerate(NAMES)}

_VERSION_3 = 0x20080522  # two 32-bit words a set, since kernel 2.6.26
# linux/prctl.h
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_PR_CAP_AMBIENT_CLEAR_ALL = 4


_capget = declare("capget", ctypes.c_char_p, ctypes.c_char_p)
_capset = declare("capset", ctypes.c_char_p, ctypes.c_char_p)
_prctl = declare(
    "prctl", ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong
)


def number(name: str) -> int:
    """The number of a capability; case and the CAP_ prefix do not matter.

    Raises:
        InvalidArgumentError: there is no such capability.
    """
    known = _NUMBERS.get(canonical(name))
    if known is None:
        raise InvalidArgumentError(f"unknown capability {name!r}", hint="see capabilities(7)")
    return known


def canonical(name: str) -> str:
    """The name as the kernel's header writes it, known or not (`net_raw` -> `CAP_NET_RAW`)."""
    upper = name.upper()
    return upper if upper.startswith("CAP_") else f"CAP_{upper}"


def mask(names: "Iterable[str]") -> int:
    """The set of these capabilities.

    Raises:
        InvalidArgumentError: one of them is unknown.
    """
    bits = 0
    for name in names:
        bits |= 1 << number(name)
    return bits


def known(names: "Iterable[str]", last: int) -> "tuple[int, list[str]]":
    """The set of those that there are, and the names of the rest.

    Args:
        names: as for `number`.
        last: highest number that the kernel knows.
    """
    bits, unknown = 0, []
    for name in names:
        found = _NUMBERS.get(canonical(name), last + 1)
        if found > last:
            unknown.append(name)
        else:
            bits |= 1 << found
    return bits, unknown


def names(bits: int) -> tuple[str, ...]:
    """The capabilities of a set, in order; numbers without a name are left out."""
    return tuple(name for index, name in enumerate(NAMES) if bits >> index & 1)


def last_capability(path: str = "/proc/sys/kernel/cap_last_cap") -> int:
    """The highest number this kernel knows (kernel 3.2); ours where it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is slow to import
            return int(file.read())
    except (OSError, ValueError):
        return len(NAMES) - 1


def capget(pid: int = 0) -> tuple[int, int, int]:
    """The effective, permitted and inheritable sets of a process; 0 is the caller.

    Raises:
        KernelError: there is no such process.
    """
    words = ctypes.create_string_buffer(24)
    check(_capget(struct.pack("=Ii", _VERSION_3, pid), words), "capget", str(pid))
    low = struct.unpack_from("=3I", words, 0)
    high = struct.unpack_from("=3I", words, 12)
    return (high[0] << 32 | low[0], high[1] << 32 | low[1], high[2] << 32 | low[2])


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Set the caller's sets (its thread's).

    Raises:
        KernelError: a set would grow beyond what is permitted.
    """
    sets = (effective, permitted, inheritable)
    low = [bits & 0xFFFFFFFF for bits in sets]
    high = [bits >> 32 for bits in sets]
    check(_capset(struct.pack("=Ii", _VERSION_3, 0), struct.pack("=6I", *low, *high)), "capset")


def bounding_set() -> int:
    """What the caller and its children can ever gain (prctl PR_CAPBSET_READ)."""
    bits = 0
    for index in range(last_capability() + 1):
        if _prctl(_PR_CAPBSET_READ, index, 0, 0, 0) == 1:
            bits |= 1 << index
    return bits


def drop_bounding(capability: int) -> None:
    """Give one capability up for good (prctl PR_CAPBSET_DROP).

    Raises:
        KernelError: CAP_SETPCAP is missing, or the kernel knows no such number.
    """
    result = _prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    check(result, "prctl", f"PR_CAPBSET_DROP {capability}")


def clear_ambient() -> None:
    """Empty the set that survives execve of a plain program (kernel 4.3).

    Raises:
        KernelError: the kernel has no ambient set.
    """
    result = _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    check(result, "prctl", "PR_CAP_AMBIENT_CLEAR_ALL")


def raise_ambient(capability: int) -> None:
    """Let one capability survive execve of a plain program (kernel 4.3).

    Raises:
        KernelError: it is not both permitted and inheritable.
    """
    result = _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0)
    check(result, "prctl", f"PR_CAP_AMBIENT_RAISE {capability}")
