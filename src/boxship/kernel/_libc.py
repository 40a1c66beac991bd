"""The handle to libc: every function is declared once, every failure becomes a KernelError."""

import os

from boxship.kernel import foreign as ctypes

TYPE_CHECKING = False  # the typing module takes longer to import than all of this package
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class KernelError(OSError):
    """A system call failed.

    Attributes:
        call: name of the system call.
        path: the object it was about, or an empty string.
        detail: what the kernel said beside the error number (the log of a file system context).
    """

    def __init__(self, number: int, call: str, path: str = "", detail: str = "") -> None:
        super().__init__(number, os.strerror(number))
        self.call = call
        self.path = path
        self.detail = detail

    def __str__(self) -> str:
        about = f"{self.call} {self.path}" if self.path else self.call
        extra = f" ({self.detail})" if self.detail else ""
        return f"{about}: {self.strerror}{extra}"


def declare(name: str, *argtypes: "Any", locked: bool = False) -> "Callable[..., int]":
    """A libc function with typed arguments and a C int or long as its result.

    Args:
        name: symbol in libc.
        argtypes: ctypes types of the arguments.
        locked: keep the interpreter lock while the call runs; for calls that duplicate the process,
            whose child then holds it.
    """
    function = ctypes.libc_function(name, locked=locked)
    function.argtypes = argtypes
    function.restype = ctypes.c_long if name == "syscall" else ctypes.c_int
    return function


def check(result: int, call: str, path: str = "") -> int:
    """Pass a result on, or raise what errno says.

    Raises:
        KernelError: the result is negative.
    """
    if result < 0:
        raise KernelError(ctypes.get_errno(), call, path)
    return result
