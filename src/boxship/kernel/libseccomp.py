"""Compile an OCI `linux.seccomp` object to BPF with the system's libseccomp (seccomp_init(3)).

Imported only for a profile that is not in the cache of `boxship.kernel.seccomp` yet.
"""

import ctypes
import errno
import os
import struct

from boxship.errors import InternalError, InvalidArgumentError, UnsupportedError

TYPE_CHECKING = False  # the typing modules are slow to import
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

# AUDIT_ARCH_* of linux/audit.h, for the native filters of `_refuse_unknown`.
_AUDIT_ARCH = {
    "x86_64": 0xC000003E,
    "aarch64": 0xC00000B7,
    "riscv64": 0xC00000F3,
    "s390x": 0x80000016,
    "ppc64le": 0xC0000015,
    "i686": 0x40000003,
    "armv7l": 0x40000028,
}
_X32_BIT = 0x40000000

# linux/seccomp.h
_ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_NOTIFY = "SCMP_ACT_NOTIFY"
# The call by which a process hands its listener on.
_TELLS = "sendmsg"
_WITH_DATA = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
_LENIENT = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_NOTIFY")

# seccomp.h of libseccomp
_COMPARISONS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
ARCHITECTURES = tuple(
    f"SCMP_ARCH_{name}"
    for name in (
        *("X86", "X86_64", "X32", "ARM", "AARCH64", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL"),
        *("MIPSEL64", "MIPSEL64N32", "PPC", "PPC64", "PPC64LE", "S390", "S390X", "PARISC"),
        *("PARISC64", "RISCV64", "LOONGARCH64", "M68K", "SH", "SHEB"),
    )
)
"""Architectures that a profile may name; what libseccomp knows of them depends on its version."""
ACTIONS = tuple(_ACTIONS)
"""Actions that a profile may name."""
OPERATORS = tuple(_COMPARISONS)
"""Comparisons that a profile may name."""
_ARGUMENTS = range(6)
_ATTRIBUTE_OPTIMIZE = 8
_BINARY_TREE = 2
_NAME_ERROR = -1
_LIBRARY = "libseccomp.so.2"

# linux/filter.h: loads, jumps and the return of classic BPF.
_LOAD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_GREATER_OR_EQUAL = 0x35
_RETURN = 0x06
_OFFSET_NUMBER = 0
_OFFSET_ARCHITECTURE = 4


class _Comparison(ctypes.Structure):
    _fields_ = [  # type: ignore[mutable-override]  # typeshed wants the wider element type
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    ]


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY, use_errno=True)
    except OSError as failure:
        raise UnsupportedError(
            f"cannot compile the seccomp profile: {_LIBRARY} cannot be loaded",
            hint="install libseccomp2, or run with --security-opt seccomp=unconfined",
        ) from failure
    context, word = ctypes.c_void_p, ctypes.c_uint32
    signatures: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "seccomp_init": (context, (word,)),
        "seccomp_release": (None, (context,)),
        "seccomp_arch_add": (ctypes.c_int, (context, word)),
        "seccomp_arch_resolve_name": (word, (ctypes.c_char_p,)),
        "seccomp_attr_set": (ctypes.c_int, (context, ctypes.c_int, word)),
        "seccomp_syscall_resolve_name": (ctypes.c_int, (ctypes.c_char_p,)),
        "seccomp_rule_add_array": (
            ctypes.c_int,
            (context, word, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Comparison)),
        ),
        "seccomp_export_bpf": (ctypes.c_int, (context, ctypes.c_int)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


def version() -> str:
    """Of the system's libseccomp; empty without one."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return ""
    library.seccomp_version.restype = ctypes.POINTER(ctypes.c_uint * 3)
    return ".".join(map(str, library.seccomp_version().contents))


def architectures() -> tuple[str, ...]:
    """Those of a profile that the system's libseccomp knows; none without one."""
    try:
        resolve = _library().seccomp_arch_resolve_name
    except UnsupportedError:
        return ()
    return tuple(name for name in ARCHITECTURES if resolve(_short(name)))


def _short(architecture: str) -> bytes:
    return architecture.removeprefix("SCMP_ARCH_").lower().encode()


def compile_profile(profile: "Mapping[str, Any]") -> bytes:
    """The BPF program of a profile; see `boxship.kernel.seccomp.compile_filter`."""
    library = _library()
    default = _action(profile.get("defaultAction", ""), profile.get("defaultErrnoRet"))
    _check_notify(profile)
    context = library.seccomp_init(default)
    if not context:
        raise InternalError("cannot compile the seccomp profile: seccomp_init failed")
    try:
        # The kernel walks the program for each of 450 calls when it is installed (5.11), and for
        # the uncommon ones later: a tree is an eighth of the steps of a list.
        library.seccomp_attr_set(context, _ATTRIBUTE_OPTIMIZE, _BINARY_TREE)
        _add_architectures(library, context, profile.get("architectures") or ())
        highest = _add_rules(library, context, profile, default)
        program = _export(library, context)
    finally:
        library.seccomp_release(context)
    if profile.get("defaultAction") in _LENIENT or default == _action(
        "SCMP_ACT_ERRNO", errno.ENOSYS
    ):
        return program
    return _refuse_unknown(highest) + program


def _action(name: str, data: int | None) -> int:
    if name not in _ACTIONS:
        raise InvalidArgumentError(f"unknown seccomp action {name!r}")
    if name not in _WITH_DATA:
        if data is not None:
            raise InvalidArgumentError(f"errnoRet {data} is set for {name}, which returns no error")
        return _ACTIONS[name]
    return _ACTIONS[name] | ((errno.EPERM if data is None else data) & 0xFFFF)


def _check_notify(profile: "Mapping[str, Any]") -> None:
    """Refuse a profile that would have a process wait for an agent that cannot know of it yet."""
    if profile.get("defaultAction") == _NOTIFY:
        raise InvalidArgumentError(f"{_NOTIFY} cannot be the default action")
    for rule in profile.get("syscalls") or ():
        if rule.get("action") == _NOTIFY and _TELLS in (rule.get("names") or ()):
            raise InvalidArgumentError(f"{_NOTIFY} cannot be used for {_TELLS}: it tells the agent")


def _add_architectures(library: ctypes.CDLL, context: int, names: "Iterable[str]") -> None:
    for name in names:
        if name not in ARCHITECTURES:
            raise InvalidArgumentError(f"unknown seccomp architecture {name!r}")
        token = library.seccomp_arch_resolve_name(_short(name))
        if token == 0:
            raise UnsupportedError(f"this libseccomp does not know {name}")
        result = library.seccomp_arch_add(context, token)
        if result not in (0, -errno.EEXIST):
            raise InternalError(f"cannot add seccomp architecture {name}: {os.strerror(-result)}")


def _add_rules(
    library: ctypes.CDLL, context: int, profile: "Mapping[str, Any]", default: int
) -> int:
    """Add every rule; the highest number of a call that the profile names."""
    highest = 0
    for rule in profile.get("syscalls") or ():
        action = _action(rule.get("action", ""), rule.get("errnoRet"))
        alternatives = _comparisons(rule.get("args") or ())
        if not rule.get("names"):
            raise InvalidArgumentError(f"a seccomp rule with {rule['action']} has no names")
        for name in rule.get("names") or ():
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number == _NAME_ERROR:
                continue  # newer than this libseccomp, or of another architecture
            highest = max(highest, number)
            if action == default:
                continue  # libseccomp refuses rules that change nothing
            for comparisons in alternatives:
                _add_rule(library, context, (name, number, action), comparisons)
    return highest


def _comparisons(arguments: "Iterable[Mapping[str, Any]]") -> "list[list[_Comparison]]":
    """The conditions of a rule: alternatives, each of which has to hold as a whole.

    libseccomp takes one condition for each argument. Where a profile names an argument twice, its
    conditions are alternatives, as runc reads it.
    """
    found = []
    for argument in arguments:
        operator = _COMPARISONS.get(argument.get("op", ""))
        if operator is None:
            raise InvalidArgumentError(f"unknown seccomp operator {argument.get('op')!r}")
        if argument["index"] not in _ARGUMENTS:
            raise InvalidArgumentError(f"seccomp argument {argument['index']} is not from 0 to 5")
        value, second = argument.get("value", 0), argument.get("valueTwo") or 0
        found.append(_Comparison(argument["index"], operator, value, second))
    indexes = {comparison.argument for comparison in found}
    return [found] if len(indexes) == len(found) else [[comparison] for comparison in found]


def _add_rule(
    library: ctypes.CDLL,
    context: int,
    rule: tuple[str, int, int],
    comparisons: "list[_Comparison]",
) -> None:
    name, number, action = rule
    array = (_Comparison * len(comparisons))(*comparisons)
    result = library.seccomp_rule_add_array(context, action, number, len(comparisons), array)
    if result != 0:
        raise InternalError(f"cannot add seccomp rule for {name}: {os.strerror(-result)}")


def _export(library: ctypes.CDLL, context: int) -> bytes:
    descriptor = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    try:
        result = library.seccomp_export_bpf(context, descriptor)
        if result != 0:
            raise InternalError(f"cannot compile the seccomp profile: {os.strerror(-result)}")
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)


def _refuse_unknown(highest: int) -> bytes:
    """A prologue: calls newer than any the profile knows do not exist (ENOSYS).

    The profile's own answer, mostly EPERM, would keep a C library from falling back to the older
    call. Only for the machine's own system calls, and not for x32's, which carry a high bit.
    """
    architecture = _AUDIT_ARCH.get(os.uname().machine)
    if architecture is None or highest == 0:
        return b""
    code = (
        (_LOAD, 0, 0, _OFFSET_ARCHITECTURE),
        (_JUMP_EQUAL, 0, 4, architecture),
        (_LOAD, 0, 0, _OFFSET_NUMBER),
        (_JUMP_GREATER_OR_EQUAL, 2, 0, _X32_BIT),
        (_JUMP_GREATER_OR_EQUAL, 0, 1, highest + 1),
        (_RETURN, 0, 0, _action("SCMP_ACT_ERRNO", errno.ENOSYS)),
    )
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
