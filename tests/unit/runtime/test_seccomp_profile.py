from typing import Any

import pytest

from boxship.runtime.spec.seccomp_profile import default_profile, resolve_profile


def _allowed(profile: dict[str, Any], name: str) -> bool:
    """Whether any rule allows a call without conditions."""
    return any(
        name in rule["names"] and rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args")
        for rule in profile["syscalls"]
    )


def test_what_is_not_listed_is_refused_with_eperm() -> None:
    profile = default_profile(())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert profile["defaultErrnoRet"] == 1
    for name in ("io_uring_setup", "kexec_load", "keyctl", "add_key", "userfaultfd", "swapon"):
        assert not _allowed(profile, name)


@pytest.mark.parametrize(
    ("capability", "name"),
    [
        ("CAP_SYS_ADMIN", "mount"),
        ("CAP_SYS_ADMIN", "clone3"),
        ("CAP_SYS_CHROOT", "chroot"),
        ("CAP_SYS_TIME", "clock_settime"),
        ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
        ("CAP_SYS_MODULE", "init_module"),
        ("CAP_BPF", "bpf"),
        ("CAP_SYSLOG", "syslog"),
        ("CAP_SYS_BOOT", "reboot"),
    ],
)
def test_a_capability_opens_its_calls(capability: str, name: str) -> None:
    assert not _allowed(default_profile(()), name)
    assert _allowed(default_profile((capability,)), name)


def test_clone_makes_no_namespaces() -> None:
    rules = default_profile((), "x86_64")["syscalls"]
    (clone,) = [rule for rule in rules if rule["names"] == ["clone"]]
    assert clone["args"] == [{"index": 0, "value": 0x7E020000, "op": "SCMP_CMP_MASKED_EQ"}]
    (clone3,) = [rule for rule in rules if rule["names"] == ["clone3"]]
    assert (clone3["action"], clone3["errnoRet"]) == ("SCMP_ACT_ERRNO", 38)


def test_clone_on_s390_has_its_flags_second() -> None:
    rules = default_profile((), "s390x")["syscalls"]
    (clone,) = [rule for rule in rules if rule["names"] == ["clone"]]
    assert clone["args"][0]["index"] == 1


@pytest.mark.parametrize(
    ("family", "allowed"), [(1, True), (2, True), (16, True), (38, False), (40, False)]
)
def test_socket_families(family: int, allowed: bool) -> None:
    rules = [rule for rule in default_profile(())["syscalls"] if rule["names"] == ["socket"]]
    conditions = [rule["args"][0] for rule in rules]
    hit = any(
        family < condition["value"]
        if condition["op"].endswith("LT")
        else family == condition["value"]
        for condition in conditions
    )
    assert hit is allowed


def test_foreign_programs_are_filtered_too() -> None:
    assert default_profile((), "x86_64")["architectures"] == [
        "SCMP_ARCH_X86_64",
        "SCMP_ARCH_X86",
        "SCMP_ARCH_X32",
    ]
    assert default_profile((), "unheard-of")["architectures"] == []


def _docker_profile() -> dict[str, Any]:
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": None},
        ],
        "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": None, "comment": "plain"},
            {"name": "write", "action": "SCMP_ACT_ALLOW"},
            {
                "names": ["mount"],
                "action": "SCMP_ACT_ALLOW",
                "includes": {"caps": ["CAP_SYS_ADMIN"]},
            },
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {
                "names": ["arch_prctl"],
                "action": "SCMP_ACT_ALLOW",
                "includes": {"arches": ["amd64"]},
            },
            {
                "names": ["clone3"],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": 38,
                "excludes": {"caps": ["CAP_SYS_ADMIN"]},
            },
        ],
    }


def _names(profile: dict[str, Any]) -> list[str]:
    return [name for rule in profile["syscalls"] for name in rule["names"]]


def test_conditions_of_dockers_format() -> None:
    plain = resolve_profile(_docker_profile(), (), "x86_64", "6.1.0-13-amd64")
    assert _names(plain) == ["read", "write", "ptrace", "arch_prctl", "clone3"]
    assert plain["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert "archMap" not in plain
    assert plain["syscalls"][0] == {"names": ["read"], "action": "SCMP_ACT_ALLOW"}

    powerful = resolve_profile(_docker_profile(), ("CAP_SYS_ADMIN",), "x86_64", "4.4.0")
    assert _names(powerful) == ["read", "write", "mount", "arch_prctl"]

    arm = resolve_profile(_docker_profile(), (), "aarch64", "6.1")
    assert _names(arm) == ["read", "write", "ptrace", "clone3"]
    assert arm["architectures"] == ["SCMP_ARCH_AARCH64"]


def test_an_oci_object_stays_as_it_is() -> None:
    profile = default_profile((), "x86_64")
    assert resolve_profile(profile, (), "x86_64") == profile
