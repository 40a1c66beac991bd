"""Which system calls a container may make when nothing else is asked for.

The allow-list has the contents of Docker's default profile (its state of 2026, without io_uring and
with the socket families named), so that what runs there runs here. What is missing is refused with
EPERM. `resolve_profile` reads profiles in Docker's own format, which has conditions on top of the
OCI runtime specification's.
"""

import os
from collections.abc import Collection, Mapping
from typing import Any

_ALLOWED = (
    # Read and write open files
    "cachestat close close_range copy_file_range dup dup2 dup3 fadvise64 fadvise64_64 fallocate "
    "fcntl fcntl64 fdatasync flock fsync ftruncate ftruncate64 io_cancel io_destroy "
    "io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl _llseek lseek "
    "pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink "
    "readlinkat readv sendfile sendfile64 splice sync sync_file_range syncfs tee truncate "
    "truncate64 vmsplice write writev "
    # Names, directories and attributes
    "access chdir chmod chown chown32 creat faccessat faccessat2 fchdir fchmod fchmodat "
    "fchmodat2 fchown fchown32 fchownat fgetxattr flistxattr fremovexattr fsetxattr fstat "
    "fstat64 fstatat64 fstatfs fstatfs64 futimesat getcwd getdents getdents64 getxattr "
    "getxattrat lchown lchown32 lgetxattr link linkat listmount listxattr listxattrat "
    "llistxattr lremovexattr lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat "
    "name_to_handle_at newfstatat open openat openat2 removexattr removexattrat rename renameat "
    "renameat2 rmdir setxattr setxattrat stat stat64 statfs statfs64 statmount statx symlink "
    "symlinkat umask unlink unlinkat utime utimensat utimensat_time64 utimes "
    # Wait for events
    "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait "
    "epoll_wait_old eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 "
    "inotify_rm_watch _newselect poll ppoll ppoll_time64 pselect6 pselect6_time64 select "
    "signalfd signalfd4 "
    # Memory
    "brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 "
    "mlockall mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc "
    "pkey_free pkey_mprotect process_mrelease remap_file_pages "
    # Sockets and message passing
    "accept accept4 bind connect getpeername getsockname getsockopt ipc listen mq_getsetattr "
    "mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 "
    "mq_unlink msgctl msgget msgrcv msgsnd recv recvfrom recvmmsg recvmmsg_time64 recvmsg "
    "semctl semget semop semtimedop semtimedop_time64 send sendmmsg sendmsg sendto setsockopt "
    "shmat shmctl shmdt shmget shutdown socketcall socketpair "
    # Threads and their locks
    "futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake get_robust_list "
    "get_thread_area getcpu gettid restart_syscall rseq sched_get_priority_max "
    "sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler "
    "sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr "
    "sched_setparam sched_setscheduler sched_yield set_robust_list set_thread_area "
    "set_tid_address "
    # Clocks and timers
    "adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 "
    "clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer "
    "gettimeofday nanosleep pause setitimer time timer_create timer_delete timer_getoverrun "
    "timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime "
    "timerfd_gettime64 timerfd_settime timerfd_settime64 times "
    # Signals
    "kill pidfd_open pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask "
    "rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 "
    "rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn tgkill tkill "
    # Identity
    "getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid "
    "getresgid32 getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 "
    "setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid setresgid32 setresuid "
    "setresuid32 setreuid setreuid32 setuid setuid32 "
    # Processes
    "capget capset execve execveat exit exit_group fork getpgid getpgrp getpid getppid "
    "getpriority getrandom getrlimit getrusage getsid ioprio_get ioprio_set landlock_add_rule "
    "landlock_create_ruleset landlock_restrict_self prctl prlimit64 process_vm_readv "
    "process_vm_writev ptrace riscv_hwprobe seccomp setpgid setpriority setrlimit setsid "
    "sysinfo ugetrlimit uname uretprobe vfork wait4 waitid waitpid "
)

_BY_CAPABILITY = {
    "CAP_BPF": "bpf",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_PERFMON": "perf_event_open",
    "CAP_SYSLOG": "syslog",
    "CAP_SYS_ADMIN": (
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie "
        "lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount "
        "open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog "
        "umount umount2 unshare"
    ),
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": (
        "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace"
    ),
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
}

_BY_MACHINE = {
    "aarch64": (
        "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2"
    ),
    "armv7l": (
        "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2"
    ),
    "i686": "modify_ldt",
    "ppc64le": "swapcontext sync_file_range2",
    "riscv64": "riscv_flush_icache",
    "s390x": "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr",
    "x86_64": "arch_prctl modify_ldt",
}

# A machine's own system calls first, then those of the other programs it runs.
_ARCHITECTURES = {
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
    "loongarch64": ("SCMP_ARCH_LOONGARCH64",),
    "mips64": ("SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64N32"),
    "riscv64": ("SCMP_ARCH_RISCV64",),
    "s390x": ("SCMP_ARCH_S390X", "SCMP_ARCH_S390"),
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
}

# The names of machines in profiles of Docker's format, which are Go's.
_GO_NAMES = {"aarch64": "arm64", "armv7l": "arm", "i686": "386", "x86_64": "amd64"}

# AF_* of bits/socket.h. Left out: DECnet, Econet, ATM switched circuits, IrDA, WANPIPE, ISDN, CAIF,
# and two that reach past the container: AF_ALG (38, kernel code on user data) and AF_VSOCK (40,
# the hypervisor; no namespace confines it).
_SOCKET_FAMILIES_BELOW = 12
_SOCKET_FAMILIES = (13, 14, 15, 16, 17, 18, 21, 22, 24, *range(26, 34), 35, 36, 39, *range(41, 46))

# PER_LINUX, PER_LINUX32, UNAME26, both, and "tell me" (linux/personality.h).
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)

# CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}: without CAP_SYS_ADMIN none may be set.
_NAMESPACE_FLAGS = 0x7E020000
_ENOSYS = 38
_EPERM = 1

_Rule = dict[str, Any]


def default_profile(capabilities: Collection[str], machine: str = "") -> dict[str, Any]:
    """The default as an OCI `linux.seccomp` object.

    Args:
        capabilities: names of the container's bounding set; each opens the calls it is for.
        machine: as uname(2) calls it; empty for this one.
    """
    machine = machine or os.uname().machine
    names = set(_ALLOWED.split())
    names.update(_BY_MACHINE.get(machine, "").split())
    for capability in capabilities:
        names.update(_BY_CAPABILITY.get(capability, "").split())
    rules = [_allow(*sorted(names)), *_socket_rules()]
    rules += [_allow("personality", (0, "EQ", value)) for value in _PERSONALITIES]
    if "CAP_SYS_ADMIN" not in capabilities:
        rules += _clone_rules(machine)
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": _EPERM,
        "architectures": list(_ARCHITECTURES.get(machine, ())),
        "syscalls": rules,
    }


def resolve_profile(
    document: Mapping[str, Any], capabilities: Collection[str], machine: str = "", release: str = ""
) -> dict[str, Any]:
    """A profile in Docker's format, its conditions decided, as an OCI `linux.seccomp` object.

    A plain OCI object comes out as it went in.

    Args:
        document: the parsed JSON file.
        capabilities: names of the container's bounding set.
        machine: as uname(2) calls it; empty for this one.
        release: of the kernel (`6.1.0-13`); empty for this one's.
    """
    machine = machine or os.uname().machine
    facts = _Facts(capabilities, _GO_NAMES.get(machine, machine), release or os.uname().release)
    resolved = {key: value for key, value in document.items() if key not in ("archMap", "syscalls")}
    resolved["syscalls"] = [
        _plain(rule)
        for rule in document.get("syscalls") or ()
        if facts.meet(rule.get("includes") or {}) and not facts.hit(rule.get("excludes") or {})
    ]
    for entry in document.get("archMap") or ():
        own = entry["architecture"]
        if own in _ARCHITECTURES.get(machine, ())[:1]:
            resolved["architectures"] = [own, *(entry.get("subArchitectures") or ())]
    return resolved


class _Facts:
    """What the conditions of a profile are decided by."""

    def __init__(self, capabilities: Collection[str], machine: str, release: str) -> None:
        self._capabilities = frozenset(capabilities)
        self._machine = machine
        self._release = _version(release)

    def meet(self, includes: Mapping[str, Any]) -> bool:
        """Whether all conditions hold."""
        machines = includes.get("arches")
        minimum = includes.get("minKernel")
        return (
            self._capabilities.issuperset(includes.get("caps") or ())
            and (not machines or self._machine in machines)
            and (not minimum or self._release >= _version(minimum))
        )

    def hit(self, excludes: Mapping[str, Any]) -> bool:
        """Whether any condition holds."""
        minimum = excludes.get("minKernel")
        return (
            not self._capabilities.isdisjoint(excludes.get("caps") or ())
            or self._machine in (excludes.get("arches") or ())
            or bool(minimum and self._release >= _version(minimum))
        )


def _version(release: str) -> tuple[int, int]:
    major, _, rest = release.partition(".")
    minor = rest.partition(".")[0].partition("-")[0]
    return (int(major), int(minor) if minor.isdigit() else 0)


def _plain(rule: Mapping[str, Any]) -> _Rule:
    kept = ("names", "action", "errnoRet", "args")
    plain = {key: rule[key] for key in kept if rule.get(key) is not None}
    if "name" in rule and not plain.get("names"):
        plain["names"] = [rule["name"]]
    return plain


def _allow(*parts: str | tuple[int, str, int]) -> _Rule:
    rule: _Rule = {
        "names": [part for part in parts if isinstance(part, str)],
        "action": "SCMP_ACT_ALLOW",
    }
    conditions = [part for part in parts if not isinstance(part, str)]
    if conditions:
        rule["args"] = [
            {"index": index, "value": value, "op": f"SCMP_CMP_{operator}"}
            for index, operator, value in conditions
        ]
    return rule


def _socket_rules() -> list[_Rule]:
    return [
        _allow("socket", (0, "LT", _SOCKET_FAMILIES_BELOW)),
        *(_allow("socket", (0, "EQ", family)) for family in _SOCKET_FAMILIES),
    ]


def _clone_rules(machine: str) -> list[_Rule]:
    """Threads and processes, but no namespaces.

    A filter cannot look into clone3's structure: ENOSYS makes C libraries fall back to clone.
    """
    # s390 swaps the first two arguments.
    index = 1 if machine == "s390x" else 0
    return [
        _allow("clone", (index, "MASKED_EQ", _NAMESPACE_FLAGS)),
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
    ]
