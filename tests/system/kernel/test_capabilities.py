"""Changes of a process's own power, each in a child of its own."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from boxship.kernel import capabilities
from boxship.kernel._libc import KernelError

pytestmark = pytest.mark.root


def _in_child(work: Callable[[], bool]) -> bool:
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_sets_shrink() -> None:
    few = capabilities.mask(("CAP_CHOWN", "CAP_SETUID"))

    def work() -> bool:
        capabilities.capset(few, few, 0)
        return capabilities.capget() == (few, few, 0)

    assert _in_child(work)


def test_sets_do_not_grow_again() -> None:
    def work() -> bool:
        capabilities.capset(0, 0, 0)
        try:
            capabilities.capset(1, 1, 0)
        except KernelError as failure:
            return failure.call == "capset"
        return False

    assert _in_child(work)


def test_bounding_set_shrinks() -> None:
    number = capabilities.number("CAP_NET_RAW")

    def work() -> bool:
        capabilities.drop_bounding(number)
        return not capabilities.bounding_set() >> number & 1

    assert _in_child(work)


def test_ambient_set() -> None:
    number = capabilities.number("CAP_CHOWN")
    bit = 1 << number

    def ambient() -> int:
        status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        (line,) = [line for line in status if line.startswith("CapAmb")]
        return int(line.split()[1], 16)

    def work() -> bool:
        capabilities.capset(bit, bit, bit)
        capabilities.raise_ambient(number)
        raised = ambient() == bit
        capabilities.clear_ambient()
        return raised and ambient() == 0

    assert _in_child(work)
