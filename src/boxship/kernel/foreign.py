"""The part of ctypes that kernel calls need, without the rest of it.

`import ctypes` runs five modules and checks of its own, 4 ms of a container's cold start; the
compiled module below it takes 0.2 ms. The names are those of ctypes, and so are their meanings: the
modules of this package say `from boxship.kernel import foreign as ctypes`. What is not here takes
the real one: the two may be mixed.
"""

import _ctypes
from _ctypes import POINTER, Structure, addressof, byref, get_errno, sizeof

TYPE_CHECKING = False  # the typing module takes longer to import than all of this package
if TYPE_CHECKING:
    from ctypes import (
        Array,
        c_char,
        c_char_p,
        c_int,
        c_int32,
        c_long,
        c_size_t,
        c_uint,
        c_uint32,
        c_uint64,
        c_ulong,
        c_void_p,
    )
else:

    def _simple(name: str, code: str) -> type:
        simple_data = _ctypes._SimpleCData  # noqa: SLF001 - the base class of all of them
        return type(name, (simple_data,), {"_type_": code})

    c_char, c_char_p = _simple("c_char", "c"), _simple("c_char_p", "z")
    c_int, c_uint = _simple("c_int", "i"), _simple("c_uint", "I")
    c_long, c_ulong = _simple("c_long", "l"), _simple("c_ulong", "L")
    c_uint64, c_void_p = _simple("c_uint64", "Q"), _simple("c_void_p", "P")
    # int has 32 bits and long is as wide as a pointer on every machine that Linux runs on.
    c_int32, c_uint32, c_size_t = c_int, c_uint, c_ulong


class _Libc:
    _handle = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # typeshed knows libraries by name


class Function(_ctypes.CFuncPtr):
    """A function of the C library, which leaves errno for `get_errno`."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = c_int


class LockedFunction(_ctypes.CFuncPtr):
    """As Function, and the interpreter lock is kept during the call."""

    _flags_ = Function._flags_ | _ctypes.FUNCFLAG_PYTHONAPI
    _restype_ = c_int


def libc_function(name: str, *, locked: bool = False) -> "Function | LockedFunction":
    """A function of the C library.

    Args:
        name: its symbol.
        locked: keep the interpreter lock during the call.

    Raises:
        AttributeError: the C library has no such function.
    """
    kind = LockedFunction if locked else Function
    return kind((name, _Libc))  # type: ignore[arg-type]  # all that counts of it is the handle


def create_string_buffer(init: "int | bytes", size: int = -1) -> "Array[c_char]":
    """Bytes that the kernel may write to, as ctypes makes them.

    Args:
        init: how many, all zero; or what they are.
        size: how many in all; -1 for those of `init` and a zero byte.
    """
    if isinstance(init, int):
        return (c_char * init)()
    buffer = (c_char * (len(init) + 1 if size < 0 else size))()
    buffer.value = init
    return buffer


__all__ = [
    "POINTER",
    "Structure",
    "addressof",
    "byref",
    "c_char",
    "c_char_p",
    "c_int",
    "c_int32",
    "c_long",
    "c_size_t",
    "c_uint",
    "c_uint32",
    "c_uint64",
    "c_ulong",
    "c_void_p",
    "create_string_buffer",
    "get_errno",
    "libc_function",
    "sizeof",
]
