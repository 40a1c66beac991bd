import struct

import pytest

from boxship.kernel.bpf import device_program

_ALLOW = 1
_READ, _WRITE, _MKNOD = 2, 4, 1
_BLOCK, _CHAR = 1, 2


def _run(program: bytes, kind: int, access: int, major: int, minor: int) -> int:
    """Interpret the few instructions a filter uses, as the kernel would."""
    registers = [0] * 11
    context = {0: access << 16 | kind, 4: major, 8: minor}
    code = list(struct.iter_unpack("=BBhi", program))
    at = 0
    while True:
        opcode, pair, offset, immediate = code[at]
        target, source = pair & 15, pair >> 4
        at += 1
        if opcode == 0x61:
            registers[target] = context[offset]
        elif opcode == 0x54:
            registers[target] &= immediate
        elif opcode == 0x74:
            registers[target] >>= immediate
        elif opcode == 0xBC:
            registers[target] = registers[source]
        elif opcode == 0xB4:
            registers[target] = immediate
        elif opcode == 0x15:
            at += offset if registers[target] == immediate else 0
        elif opcode == 0x55:
            at += offset if registers[target] != immediate else 0
        else:
            assert opcode == 0x95
            return registers[0]


def test_nothing_is_allowed_without_rules() -> None:
    assert _run(device_program([]), _CHAR, _READ, 1, 3) == 0


@pytest.mark.parametrize(
    ("kind", "access", "major", "minor", "verdict"),
    [
        (_CHAR, _READ | _WRITE, 1, 3, 1),
        (_CHAR, _READ, 1, 4, 0),
        (_BLOCK, _READ, 1, 3, 0),
        (_CHAR, _READ, 136, 77, 1),
        (_BLOCK, _MKNOD, 9, 9, 1),
        (_BLOCK, _MKNOD | _READ, 9, 9, 0),
    ],
)
def test_rules_match(kind: int, access: int, major: int, minor: int, verdict: int) -> None:
    program = device_program(
        [
            (False, "a", -1, -1, "rwm"),
            (True, "b", -1, -1, "m"),
            (True, "c", 1, 3, "rwm"),
            (True, "c", 136, -1, "rw"),
        ]
    )
    assert _run(program, kind, access, major, minor) == verdict


def test_a_later_denial_of_part_wins() -> None:
    program = device_program([(True, "a", -1, -1, "rwm"), (False, "b", 8, -1, "w")])
    assert _run(program, _BLOCK, _READ, 8, 0) == 1
    assert _run(program, _BLOCK, _READ | _WRITE, 8, 0) == 0
    assert _run(program, _CHAR, _READ | _WRITE, 8, 0) == 1


def test_a_rule_for_everything_ends_the_program() -> None:
    program = device_program([(True, "c", 1, 3, "r"), (True, "a", -1, -1, "rwm")])
    assert _run(program, _BLOCK, _WRITE, 200, 1) == _ALLOW
    assert len(program) // 8 == 8


def test_two_rules_together_allow_what_neither_does() -> None:
    program = device_program([(True, "c", 1, 11, "r"), (True, "c", 1, 11, "w")])
    assert _run(program, _CHAR, _READ | _WRITE, 1, 11) == 1
    assert _run(program, _CHAR, _READ | _MKNOD, 1, 11) == 0


def test_an_allowance_of_part_after_a_denial() -> None:
    program = device_program(
        [(True, "a", -1, -1, "rwm"), (False, "c", 1, -1, "rwm"), (True, "c", 1, 11, "r")]
    )
    assert _run(program, _CHAR, _READ, 1, 11) == 1
    assert _run(program, _CHAR, _READ | _WRITE, 1, 11) == 0
    assert _run(program, _CHAR, _READ, 1, 12) == 0
    assert _run(program, _BLOCK, _READ | _WRITE, 1, 11) == 1
