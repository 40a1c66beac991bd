"""A program to execute another from, so that the interpreter is never what a container came from.

A container's program may be a link to /proc/self/exe, or a script or library loader that names it.
The kernel then takes the file of the process that calls execve, and a container that shares the
host's user namespace could write to it later (CVE-2019-5736). Executed from here, all it can get at
is this: a few dozen instructions in a sealed memory file of its own.

The launcher needs none of this, for it runs from a read-only mount; starting the interpreter again
for a single container would cost more than the container.
"""

import fcntl
import os
import struct

FAILED = b"X"
"""First byte of the packet sent when the program cannot be executed; errno is the second."""

_BASE = 0x400000
_HEADERS = 64 + 56
_MFD_EXEC = 0x10  # linux/memfd.h, kernel 6.3
# linux/fcntl.h: no more seals, no shrinking, growing or writing
_SEALS = 0x1 | 0x2 | 0x4 | 0x8

# The arguments are: packet, path, then those of the program. SYNC is put in. A filter is in force
# already: fcntl is allowed by those that forbid close_range, and what it fails for is told.
_CODE = bytes.fromhex(
    "bf bbbbbbbb"  # mov edi, SYNC
    "be 02000000"  # mov esi, F_SETFD
    "ba 01000000"  # mov edx, FD_CLOEXEC
    "b8 48000000"  # mov eax, fcntl
    "0f05"  # syscall
    "85c0"  # test eax, eax
    "781a"  # js failed
    "488b7c2410"  # mov rdi, [rsp+16]       path
    "488d742418"  # lea rsi, [rsp+24]       arguments
    "488b0424"  # mov rax, [rsp]          how many there are
    "488d54c410"  # lea rdx, [rsp+rax*8+16] environment
    "b8 3b000000"  # mov eax, execve
    "0f05"  # syscall                 comes back with an error only
    "f7d8"  # failed: neg eax
    "488b742408"  # mov rsi, [rsp+8]        packet
    "884601"  # mov [rsi+1], al
    "31d2"  # xor edx, edx
    "803c1600"  # cmp byte [rsi+rdx], 0
    "7404"  # je done
    "ffc2"  # inc edx
    "ebf6"  # jmp back
    "bf bbbbbbbb"  # mov edi, SYNC
    "b8 01000000"  # mov eax, write
    "0f05"  # syscall
    "bf 7f000000"  # mov edi, 127
    "b8 e7000000"  # mov eax, exit_group
    "0f05"  # syscall
)


def is_supported() -> bool:
    """Whether there is code for this machine; elsewhere run from a read-only mount."""
    return os.uname().machine == "x86_64"


def is_needed(executable: str = "/proc/self/exe") -> bool:
    """Whether the interpreter could be written to through its own mount."""
    return not os.statvfs(executable).f_flag & os.ST_RDONLY


def make(sync: int) -> int:
    """A descriptor (close-on-exec) of the program.

    Args:
        sync: descriptor to send the packet to when the other program cannot be executed, and to
            close when it is.
    """
    code = _CODE.replace(b"\xbb" * 4, struct.pack("<I", sync))
    image = _elf(len(code)) + code
    try:
        descriptor = os.memfd_create("boxship", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | _MFD_EXEC)
    except OSError:
        descriptor = os.memfd_create("boxship", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, image)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    return descriptor


def packet(text: str) -> str:
    """The first argument: what to send when the program cannot be executed."""
    return f"{FAILED.decode()}\x01{text}"


def _elf(length: int) -> bytes:
    """ELF header and the one segment's (elf(5)), for x86-64."""
    size = _HEADERS + length
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        *(2, 62, 1),  # executable, x86-64, current version
        *(_BASE + _HEADERS, 64, 0, 0),  # entry, program headers, no sections
        *(64, 56, 1, 0, 0, 0),
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)  # load, r-x
    return header + segment
