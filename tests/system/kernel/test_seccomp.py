"""Filters in force, each in a child of its own."""

import ctypes
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxship.errors import InvalidArgumentError
from boxship.kernel import seccomp
from boxship.runtime.spec.seccomp_profile import default_profile

pytestmark = pytest.mark.root

_CLONE_NEWUTS = 0x04000000
_SIGCHLD = 17


def _under(profile: dict[str, Any], work: Callable[[], int]) -> int:
    """The exit code of work done under a filter: what it returns, an errno or 0."""
    program = seccomp.compile_filter(profile)
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            seccomp.install(program, seccomp.filter_flags(profile))
            code = work()
        except OSError as failure:
            code = failure.errno or 98
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _call(number: int, *arguments: int) -> Callable[[], int]:
    libc = ctypes.CDLL(None, use_errno=True)

    def work() -> int:
        result = libc.syscall(number, *map(ctypes.c_ulong, arguments))
        return ctypes.get_errno() if result < 0 else 0

    return work


def _socket(family: int) -> Callable[[], int]:
    def work() -> int:
        socket.socket(family, socket.SOCK_STREAM).close()
        return 0

    return work


def _run_true() -> int:
    pid = os.spawnl(os.P_NOWAIT, "/bin/true", "true")  # noqa: S606 - the point is exec
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_ordinary_work_goes_on() -> None:
    assert _under(default_profile(()), _run_true) == 0
    assert _under(default_profile(()), _socket(socket.AF_INET)) == 0


@pytest.mark.parametrize("family", [socket.AF_VSOCK, socket.AF_ALG])
def test_sockets_that_leave_the_container(family: int) -> None:
    assert _under(default_profile(()), _socket(family)) == errno.EPERM


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="has x86_64's call numbers")
@pytest.mark.parametrize(
    ("number", "arguments", "code"),
    [
        pytest.param(166, (0, 0), errno.EPERM, id="umount2"),
        pytest.param(272, (_CLONE_NEWUTS,), errno.EPERM, id="unshare"),
        pytest.param(56, (_CLONE_NEWUTS | _SIGCHLD, 0, 0, 0, 0), errno.EPERM, id="clone-newuts"),
        pytest.param(435, (0, 0), errno.ENOSYS, id="clone3"),
        pytest.param(425, (1, 0), errno.EPERM, id="io_uring_setup"),
        pytest.param(135, (0x400000,), errno.EPERM, id="personality-short-inode"),
        pytest.param(135, (0xFFFFFFFF,), 0, id="personality-query"),
        pytest.param(600, (), errno.ENOSYS, id="not-invented-yet"),
    ],
)
def test_calls(number: int, arguments: tuple[int, ...], code: int) -> None:
    assert _under(default_profile(()), _call(number, *arguments)) == code


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="has x86_64's call numbers")
def test_a_capability_opens_its_calls() -> None:
    assert _under(default_profile(("CAP_SYS_ADMIN",)), _call(272, _CLONE_NEWUTS)) == 0


def test_a_condition_for_each_alternative() -> None:
    either = [
        {"index": 0, "value": int(socket.AF_INET), "op": "SCMP_CMP_EQ"},
        {"index": 0, "value": int(socket.AF_UNIX), "op": "SCMP_CMP_EQ"},
    ]
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "args": either},
            {"names": ["no_such_call"], "action": "SCMP_ACT_KILL"},
        ],
    }
    assert _under(profile, _socket(socket.AF_INET)) == 5
    assert _under(profile, _socket(socket.AF_UNIX)) == 5
    assert _under(profile, _socket(socket.AF_INET6)) == 0


def test_a_killed_process() -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["getppid"], "action": "SCMP_ACT_KILL_PROCESS"}],
    }
    assert _under(profile, lambda: os.getppid() and 0) == -31


def test_programs_are_kept_on_disk(tmp_path: Path) -> None:
    cache = tmp_path / "made" / "on-demand"
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["reboot"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77}],
    }
    program = seccomp.compile_filter(profile, str(cache))
    (file,) = cache.iterdir()
    assert file.read_bytes() == program
    assert cache.stat().st_mode & 0o777 == 0o700


def test_a_kept_program_is_used(tmp_path: Path) -> None:
    profile = {"defaultAction": "SCMP_ACT_LOG", "syscalls": []}
    seccomp.compile_filter(profile, str(tmp_path))
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"kept")
    # Another process has nothing in memory.
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        seccomp._compiled.clear()
        os.write(writer, seccomp.compile_filter(profile, str(tmp_path)))
        os._exit(0)
    os.close(writer)
    assert os.read(reader, 16) == b"kept"
    os.close(reader)
    os.waitpid(pid, 0)


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"defaultAction": "SCMP_ACT_SING"}, "unknown seccomp action"),
        ({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_PDP11"]}, "architecture"),
        (
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [
                    {
                        "names": ["read"],
                        "action": "SCMP_ACT_LOG",
                        "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_ABOUT"}],
                    }
                ],
            },
            "unknown seccomp operator",
        ),
    ],
)
def test_words_that_mean_nothing(profile: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        seccomp.compile_filter(profile)


def test_flags() -> None:
    assert seccomp.filter_flags({}) == 4
    assert seccomp.filter_flags({"flags": []}) == 0
    assert seccomp.filter_flags({"flags": ["SECCOMP_FILTER_FLAG_LOG"]}) == 2
    with pytest.raises(InvalidArgumentError, match="unknown seccomp flag"):
        seccomp.filter_flags({"flags": ["SECCOMP_FILTER_FLAG_FUN"]})


def test_listener_is_asked_for_by_notify_rules() -> None:
    notify = {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [notify]}
    assert seccomp.needs_listener(profile)
    assert not seccomp.needs_listener({"defaultAction": "SCMP_ACT_ALLOW"})
