"""Filter a process's system calls: from an OCI `linux.seccomp` object to a BPF program in force.

The system's libseccomp compiles (seccomp_init(3) and its relatives); the result is kept in memory
and on disk, so that a container's start only reads it. config-linux of the OCI runtime
specification says what the object means.
"""

import marshal
import os
import struct
from errno import EFAULT

from boxship.errors import InvalidArgumentError
from boxship.kernel import foreign as ctypes
from boxship.kernel._libc import check, declare

TYPE_CHECKING = False  # the typing modules are slow to import
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# asm/unistd.h of each architecture; the rest follow asm-generic/unistd.h.
_SYS_SECCOMP = {"x86_64": 317, "i686": 354, "armv7l": 383, "ppc64le": 358, "s390x": 348}
_SYS_SECCOMP_GENERIC = 277
# Asked now: once a process has the personality of a 32-bit one, uname tells of another machine.
_NUMBER = _SYS_SECCOMP.get(os.uname().machine, _SYS_SECCOMP_GENERIC)
# linux/seccomp.h
_SET_MODE_FILTER = 1
_FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1,
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 32,
}
NEW_LISTENER = 8
"""Bit of seccomp(2)'s flags: give a descriptor on which SCMP_ACT_NOTIFY calls are announced."""
_TSYNC_ESRCH = 16
_compiled: dict[bytes, bytes] = {}

_seccomp = declare("syscall", ctypes.c_long, ctypes.c_uint, ctypes.c_uint, ctypes.c_char_p)


def filter_flags(profile: "Mapping[str, Any]") -> int:
    """The flags of seccomp(2) a profile asks for; without any, SPEC_ALLOW as runc and Docker do.

    Raises:
        InvalidArgumentError: a flag is unknown.
    """
    named = profile.get("flags")
    if named is None:
        named = ("SECCOMP_FILTER_FLAG_SPEC_ALLOW",)
    bits = 0
    for name in named:
        if name not in _FLAGS:
            raise InvalidArgumentError(f"unknown seccomp flag {name!r}")
        bits |= _FLAGS[name]
    if not needs_listener(profile):
        # It is about those who wait for an agent; without one the kernel refuses it.
        return bits & ~_FLAGS["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]
    # With both, a number could be a descriptor or the thread that cannot be reached (kernel 5.7).
    return bits | NEW_LISTENER | (_TSYNC_ESRCH if bits & _FLAGS["SECCOMP_FILTER_FLAG_TSYNC"] else 0)


def needs_listener(profile: "Mapping[str, Any]") -> bool:
    """Whether a rule hands system calls to a user space agent (`SCMP_ACT_NOTIFY`)."""
    rules = profile.get("syscalls") or ()
    return any(rule.get("action") == "SCMP_ACT_NOTIFY" for rule in rules)


def permits(profile: "Mapping[str, Any]", name: str) -> bool:
    """Whether a profile surely lets a system call pass, as far as its arguments do not decide."""
    allowing = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG")
    rules = [one for one in profile.get("syscalls") or () if name in (one.get("names") or ())]
    if any(one.get("action") not in allowing for one in rules):
        return False
    return bool(rules) or not profile or profile.get("defaultAction") in allowing


def survives(profile: "Mapping[str, Any]", name: str) -> bool:
    """Whether a profile surely lets the caller of a system call live: it may fail."""
    harmless = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_ERRNO")
    rules = [one for one in profile.get("syscalls") or () if name in (one.get("names") or ())]
    actions = {one.get("action") for one in rules}
    if profile:
        # Where no rule's arguments match, and for other architectures.
        actions.add(profile.get("defaultAction"))
    return actions <= set(harmless)


def known_flags() -> "tuple[str, ...]":
    """The flags that a profile may have."""
    return tuple(_FLAGS)


def supported_flags() -> "tuple[str, ...]":
    """Those of them that this kernel has: it looks at the flags before the program (EFAULT)."""
    found = []
    for name, bit in _FLAGS.items():
        bits = bit | NEW_LISTENER | _TSYNC_ESRCH
        if _seccomp(_NUMBER, _SET_MODE_FILTER, bits, None) < 0 and ctypes.get_errno() == EFAULT:
            found.append(name)
    return tuple(found)


def install(program: bytes, flags: int = 0) -> int:
    """Put a filter in force for the calling thread, for good (seccomp(2)).

    Args:
        program: from `compile_filter`.
        flags: from `filter_flags`.

    Returns:
        With NEW_LISTENER its descriptor, close-on-exec (kernel 5.0); else 0.

    Raises:
        KernelError: EACCES without CAP_SYS_ADMIN and no_new_privs; EINVAL for a bad program.
    """
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    return check(_seccomp(_NUMBER, _SET_MODE_FILTER, flags, header), "seccomp", "SET_MODE_FILTER")


def compile_filter(profile: "Mapping[str, Any]", cache: str = "") -> bytes:
    """The BPF program of a profile for this machine.

    Args:
        profile: OCI `linux.seccomp`.
        cache: directory to keep programs in, made when missing; empty to keep them in memory only.
            Only root may write there: what it holds is trusted.

    Raises:
        InvalidArgumentError: the profile has an unknown action, operator or architecture, a rule
            without names, an errno where none is returned, or no way to tell its agent.
        UnsupportedError: libseccomp is not installed.
    """
    # Version 2 of the format has no references: equal profiles have equal bytes.
    key = os.uname().machine.encode() + marshal.dumps(dict(profile), 2)
    program = _compiled.get(key)
    if program is None:
        path = f"{cache}/{_digest(key)}.bpf" if cache else ""
        program = _read(path) or _compile(profile)
        _compiled[key] = program
        if path:
            _keep(path, program)
    return program


def _compile(profile: "Mapping[str, Any]") -> bytes:
    from boxship.kernel.libseccomp import compile_profile  # noqa: PLC0415 - see _digest

    return compile_profile(profile)


def _digest(key: bytes) -> str:
    import hashlib  # noqa: PLC0415 - only before the first container with this profile

    return hashlib.sha256(key).hexdigest()


def _read(path: str) -> bytes:
    if not path:
        return b""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib is slow to import
            return file.read()
    except FileNotFoundError:
        return b""


def _keep(path: str, program: bytes) -> None:
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)  # noqa: PTH103, PTH120 - as above
    partial = f"{path}.{os.getpid()}"
    with open(partial, "wb") as file:  # noqa: PTH123 - as above
        file.write(program)
    os.replace(partial, path)  # noqa: PTH105 - as above
