"""bpf(2): the device filter of a version 2 control group.

linux/bpf.h; Documentation/admin-guide/cgroup-v2.rst, "Device controller". A filter is a program
that gets the type, number and access of a device and answers 1 (allow) or 0.
"""

import os
import struct
import sys
from collections.abc import Sequence

from boxship.kernel import foreign as ctypes
from boxship.kernel._libc import check, declare

# asm/unistd.h of each architecture; the rest follow asm-generic/unistd.h.
_SYS_BPF = {"x86_64": 321, "i686": 357, "armv7l": 386, "ppc64le": 361, "s390x": 351}
_SYS_BPF_GENERIC = 280

_PROG_LOAD = 5
_PROG_ATTACH = 8
_PROG_DETACH = 9
_PROG_GET_FD_BY_ID = 13
_PROG_QUERY = 16
_PROG_TYPE_CGROUP_DEVICE = 15
_ATTACH_TYPE_CGROUP_DEVICE = 6
_F_ALLOW_MULTI = 2
_MAX_ATTACHED = 64

_TYPES = {"b": 1, "c": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}
_ANY = -1
_ALL_ACCESS = 7

# Opcodes: class, source and operation of linux/bpf_common.h.
_LOAD_WORD = 0x61
_AND = 0x54
_SHIFT_RIGHT = 0x74
_MOVE = 0xBC
_MOVE_IMMEDIATE = 0xB4
_JUMP_EQUAL = 0x15
_JUMP_NOT_EQUAL = 0x55
_EXIT = 0x95

# Registers of the filter: the context and scratch share one, as the loads come first.
_RESULT, _CONTEXT, _TYPE, _WANTED, _MAJOR, _MINOR = range(6)
_SCRATCH = _CONTEXT

_Rule = tuple[bool, str, int, int, str]
_Instruction = tuple[int, int, int, int, int]

_number = _SYS_BPF.get(os.uname().machine, _SYS_BPF_GENERIC)
_syscall = declare("syscall", ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)


def device_program(rules: Sequence[_Rule]) -> bytes:
    """Assemble a filter from rules `(allow, type, major, minor, access)`.

    The last rule that matches decides about each kind of access: to open a device for reading and
    writing, both have to be allowed, by one rule or by two. Type is `a`, `b` or `c`; -1 stands for
    any number; access holds letters of `rwm`. What no rule matches is denied.
    """
    code: list[_Instruction] = [
        (_LOAD_WORD, _TYPE, _CONTEXT, 0, 0),
        (_LOAD_WORD, _WANTED, _CONTEXT, 0, 0),
        (_LOAD_WORD, _MAJOR, _CONTEXT, 4, 0),
        (_LOAD_WORD, _MINOR, _CONTEXT, 8, 0),
        (_AND, _TYPE, 0, 0, 0xFFFF),
        (_SHIFT_RIGHT, _WANTED, 0, 0, 16),
    ]
    for rule in reversed(rules):
        matches, verdict = _matches(rule), _verdict(rule)
        code += _jump_past(matches, len(verdict)) + verdict
        if not matches and set(rule[4]) == set(_ACCESS):
            # The verifier refuses instructions that nothing can reach.
            return _encode(code)
    return _encode([*code, *_answer(0)])


def load_device_program(program: bytes) -> int:
    """Have the kernel check and compile a filter.

    Returns:
        Descriptor of the program, close-on-exec.

    Raises:
        KernelError: no permission (CAP_BPF or CAP_SYS_ADMIN), or the program is refused.
    """
    instructions = ctypes.create_string_buffer(program, len(program))
    license_name = ctypes.create_string_buffer(b"Apache-2.0")
    attributes = struct.pack(
        "=IIQQIIQII16s",
        _PROG_TYPE_CGROUP_DEVICE,
        len(program) // 8,
        ctypes.addressof(instructions),
        ctypes.addressof(license_name),
        0,
        0,
        0,
        0,
        0,
        b"boxship_devices",
    )
    return _bpf(_PROG_LOAD, attributes, "BPF_PROG_LOAD")


def attach_device_program(cgroup: int, program: int) -> None:
    """Let a filter, beside those already there, decide about a group; all have to agree.

    Raises:
        KernelError: the descriptors are no group and program, or a parent forbids more filters.
    """
    attributes = struct.pack(
        "=IIIII", cgroup, program, _ATTACH_TYPE_CGROUP_DEVICE, _F_ALLOW_MULTI, 0
    )
    _bpf(_PROG_ATTACH, attributes, "BPF_PROG_ATTACH")


def detach_device_program(cgroup: int, program: int) -> None:
    """Take a filter off a group.

    Raises:
        KernelError: it is not attached there.
    """
    attributes = struct.pack("=IIIII", cgroup, program, _ATTACH_TYPE_CGROUP_DEVICE, 0, 0)
    _bpf(_PROG_DETACH, attributes, "BPF_PROG_DETACH")


def attached_device_programs(cgroup: int) -> list[int]:
    """Ids of the filters attached to this very group.

    Raises:
        KernelError: the descriptor is no v2 group, or no permission.
    """
    ids = (ctypes.c_uint32 * _MAX_ATTACHED)()
    attributes = ctypes.create_string_buffer(
        struct.pack(
            "=IIIIQI4x",
            cgroup,
            _ATTACH_TYPE_CGROUP_DEVICE,
            0,
            0,
            ctypes.addressof(ids),
            _MAX_ATTACHED,
        ),
        32,
    )
    check(_syscall(_number, _PROG_QUERY, attributes, 32), "bpf", "BPF_PROG_QUERY")
    count = struct.unpack_from("=I", attributes.raw, 24)[0]
    return list(ids)[:count]


def open_program(identifier: int) -> int:
    """A descriptor for a loaded program by its id.

    Raises:
        KernelError: there is none, or no permission (CAP_SYS_ADMIN).
    """
    return _bpf(_PROG_GET_FD_BY_ID, struct.pack("=III", identifier, 0, 0), "BPF_PROG_GET_FD_BY_ID")


def _matches(rule: _Rule) -> list[_Instruction]:
    """Instructions that leave a rule for other devices; jumps are filled in later."""
    _, kind, major, minor, _ = rule
    code: list[_Instruction] = []
    if kind != "a":
        code.append((_JUMP_NOT_EQUAL, _TYPE, 0, 0, _TYPES[kind]))
    if major != _ANY:
        code.append((_JUMP_NOT_EQUAL, _MAJOR, 0, 0, major))
    if minor != _ANY:
        code.append((_JUMP_NOT_EQUAL, _MINOR, 0, 0, minor))
    return code


def _verdict(rule: _Rule) -> list[_Instruction]:
    """What a matching rule says: an answer, or what is still wanted for the rules before it."""
    allow, letters = rule[0], set(rule[4])
    access = sum(_ACCESS[letter] for letter in letters)
    answer = _answer(int(allow))
    if access == _ALL_ACCESS:
        return answer
    if allow:
        left = (_AND, _WANTED, 0, 0, _ALL_ACCESS & ~access)
        return [left, (_JUMP_NOT_EQUAL, _WANTED, 0, len(answer), 0), *answer]
    return [
        (_MOVE, _SCRATCH, _WANTED, 0, 0),
        (_AND, _SCRATCH, 0, 0, access),
        (_JUMP_EQUAL, _SCRATCH, 0, len(answer), 0),
        *answer,
    ]


def _answer(value: int) -> list[_Instruction]:
    return [(_MOVE_IMMEDIATE, _RESULT, 0, 0, value), (_EXIT, 0, 0, 0, 0)]


def _jump_past(tests: list[_Instruction], verdict: int) -> list[_Instruction]:
    patched = []
    for index, (opcode, target, source, offset, immediate) in enumerate(tests):
        distance = len(tests) - index - 1 + verdict
        jumps = opcode in (_JUMP_EQUAL, _JUMP_NOT_EQUAL)
        patched.append((opcode, target, source, distance if jumps else offset, immediate))
    return patched


def _encode(code: list[_Instruction]) -> bytes:
    encoded = bytearray()
    for opcode, target, source, offset, immediate in code:
        # Two 4-bit fields in the order of the architecture's bit fields.
        little = sys.byteorder == "little"
        registers = source << 4 | target if little else target << 4 | source
        encoded += struct.pack("=BBhi", opcode, registers, offset, immediate)
    return bytes(encoded)


def _bpf(command: int, attributes: bytes, name: str) -> int:
    return check(_syscall(_number, command, attributes, len(attributes)), "bpf", name)
