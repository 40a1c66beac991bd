"""Make, watch and signal processes.

The fork rule. `clone` duplicates a process without telling the interpreter or libc, which is only
safe in a process with one thread. Until the child calls execve it must not import, take a lock,
write to a buffered stream, or run anything registered for a fork; it ends with `os._exit`.
The interpreter lock is kept during the call, so the child holds it.
"""

import errno
import os

from boxship.errors import InternalError
from boxship.kernel import abi
from boxship.kernel import foreign as ctypes
from boxship.kernel._libc import KernelError, check, declare

TYPE_CHECKING = False  # the typing module takes longer to import than all of this package
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_CHUNK = 65536
# Asked now: once a process has the personality of a 32-bit one, uname tells of another machine.
_CLONE_NUMBER = abi.SYS_CLONE.get(os.uname().machine, -1)

_clone3 = declare(
    "syscall", ctypes.c_long, ctypes.POINTER(abi.CloneArgs), ctypes.c_size_t, locked=True
)
_clone = declare(
    "syscall",
    ctypes.c_long,
    ctypes.c_ulong,
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_int),
    ctypes.c_void_p,
    ctypes.c_void_p,
    locked=True,
)
_close_range = declare("syscall", ctypes.c_long, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)
_pidfd_open = declare("syscall", ctypes.c_long, ctypes.c_int, ctypes.c_uint)
_pidfd_send_signal = declare(
    "syscall", ctypes.c_long, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint
)
_prctl = declare(
    "prctl", ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong
)
_keyctl = declare("syscall", ctypes.c_long, ctypes.c_int, ctypes.c_char_p)
_ioctl = declare("ioctl", ctypes.c_int, ctypes.c_ulong, ctypes.POINTER(abi.PidfdInfo))


def clone(flags: int, *, exit_signal: int = 0, cgroup: int = -1) -> tuple[int, int]:
    """clone3(2) as a fork: see the fork rule above.

    Args:
        flags: CLONE_NEW* and CLONE_PARENT.
        exit_signal: signal for the parent when the child ends; 0 with CLONE_PARENT, where the child
            inherits the caller's.
        cgroup: descriptor of a v2 control group to start in (kernel 5.7), or -1.

    Returns:
        (pid, pidfd) in the parent, (0, -1) in the child.
    """
    pidfd = ctypes.c_int(-1)
    flags |= abi.CLONE_PIDFD
    arguments = abi.CloneArgs(flags=flags, pidfd=ctypes.addressof(pidfd), exit_signal=exit_signal)
    if cgroup >= 0:
        arguments.flags |= abi.CLONE_INTO_CGROUP
        arguments.cgroup = cgroup
    size = ctypes.sizeof(arguments)
    pid = _clone3(abi.SYS_CLONE3, ctypes.byref(arguments), size)
    if pid < 0 and ctypes.get_errno() in (errno.ENOSYS, errno.EPERM) and cgroup < 0:
        # Seccomp filters hide clone3, whose flags they cannot see (ours for containers too), or are
        # older than it and forbid all they do not know.
        pid = _clone(_CLONE_NUMBER, flags | exit_signal, None, ctypes.byref(pidfd), None, None)
    check(pid, "clone", hex(flags))
    return (0, -1) if pid == 0 else (pid, pidfd.value)


def pidfd_open(pid: int) -> int:
    """A descriptor of a process, close-on-exec (pidfd_open(2), kernel 5.3)."""
    return check(_pidfd_open(abi.SYS_PIDFD_OPEN, pid, 0), "pidfd_open", str(pid))


def pidfd_send_signal(pidfd: int, signal: int) -> None:
    """Signal a process, never one that re-used its id (pidfd_send_signal(2), kernel 5.1)."""
    result = _pidfd_send_signal(abi.SYS_PIDFD_SEND_SIGNAL, pidfd, signal, None, 0)
    check(result, "pidfd_send_signal", str(signal))


def pidfd_pid(pidfd: int) -> int:
    """The id of a pidfd's process in the caller's pid namespace; -1 when it was reaped."""
    path = f"/proc/self/fdinfo/{pidfd}"
    with open(path, encoding="utf-8") as lines:  # noqa: PTH123 - pathlib is slow to import
        return next((int(line[4:]) for line in lines if line.startswith("Pid:")), -1)


def pidfd_exit_status(pidfd: int) -> int | None:
    """The wait status of a process that was reaped already by somebody else (kernel 6.15).

    Returns:
        The status as from waitpid(2), or None when the process runs or the kernel cannot tell.
    """
    info = abi.PidfdInfo(mask=abi.PIDFD_INFO_EXIT)
    if _ioctl(pidfd, abi.PIDFD_GET_INFO, ctypes.byref(info)) < 0:
        return None
    return int(info.exit_code) if info.mask & abi.PIDFD_INFO_EXIT else None


def close_range(first: int, last: int, flags: int = 0) -> None:
    """Close the descriptors first to last, both included (close_range(2), kernel 5.9)."""
    check(_close_range(abi.SYS_CLOSE_RANGE, first, last, flags), "close_range")


def prctl(option: int, value: int) -> None:
    """Change an attribute of this process that takes one integer."""
    check(_prctl(option, value, 0, 0, 0), "prctl", str(option))


def set_name(name: str) -> None:
    """The name that ps shows for this thread, cut at 15 bytes."""
    buffer = ctypes.create_string_buffer(name.encode()[:15])
    check(_prctl(abi.PR_SET_NAME, ctypes.addressof(buffer), 0, 0, 0), "prctl", "PR_SET_NAME")


def join_session_keyring() -> None:
    """Leave the session keyring that was inherited for a new and empty one (keyctl(2)).

    Raises:
        KernelError: ENOSYS for a kernel without keys; EPERM where a seccomp filter forbids it;
            EDQUOT when the user has too many keys.
    """
    number = abi.SYS_KEYCTL.get(os.uname().machine, -1)
    check(_keyctl(number, abi.KEYCTL_JOIN_SESSION_KEYRING, None), "keyctl", "join session keyring")


def start_time(pid: int) -> int:
    """When a process started, in clock ticks after boot: with the id it names one process for good.

    Raises:
        KernelError: there is no such process.
    """
    path = f"/proc/{pid}/stat"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(descriptor, 4096)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise KernelError(error.errno or 0, "read", path) from error
    # Field 22 of proc(5); the name in field 2 may hold blanks and parentheses.
    return int(text.rpartition(b")")[2].split()[19])


class Completed:
    """What a program that ended well wrote.

    Attributes:
        stdout: its standard output.
        stderr: its standard error.
    """

    __slots__ = ("stderr", "stdout")

    def __init__(self, stdout: bytes, stderr: bytes) -> None:
        self.stdout = stdout
        self.stderr = stderr


def run(
    argv: "Sequence[str]",
    *,
    stdin: bytes = b"",
    environment: "Mapping[str, str] | None" = None,
    trace: "Callable[[str], None] | None" = None,
) -> Completed:
    """Run a program to its end.

    Args:
        argv: the program (looked up in PATH) and its arguments.
        stdin: what it reads; kept in memory, so small.
        environment: its environment, this process's when None; locale variables are dropped.
        trace: told the command line before it runs, for a debug log.

    Raises:
        InternalError: the program is missing or ends with a status other than 0; the message holds
            the last line it wrote to standard error.
    """
    if trace is not None:
        trace("run: " + " ".join(argv))
    base = os.environ if environment is None else environment
    clean = {name: value for name, value in base.items() if not name.startswith(("LC_", "LANG"))}
    descriptors = [os.memfd_create(name) for name in ("stdin", "stdout", "stderr")]
    try:
        os.write(descriptors[0], stdin)
        os.lseek(descriptors[0], 0, os.SEEK_SET)
        code = _spawn_and_wait(argv, clean, descriptors)
        stdout, stderr = _content(descriptors[1]), _content(descriptors[2])
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    if code != 0:
        words = stderr.decode(errors="replace").strip().splitlines()
        reason = words[-1] if words else "no message"
        msg = f"{argv[0]} failed with status {code}: {reason}"
        raise InternalError(msg)
    return Completed(stdout, stderr)


def _spawn_and_wait(
    argv: "Sequence[str]", environment: "Mapping[str, str]", descriptors: "list[int]"
) -> int:
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(descriptors)]
    try:
        pid = os.posix_spawnp(argv[0], list(argv), environment, file_actions=actions)
    except OSError as error:
        msg = f"cannot run {argv[0]}: {error.strerror}"
        raise InternalError(msg, hint=f"install {argv[0]} or check PATH") from error
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _content(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    parts = []
    while chunk := os.read(descriptor, _CHUNK):
        parts.append(chunk)
    return b"".join(parts)
