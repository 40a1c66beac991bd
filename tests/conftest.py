"""What every test can rely on: markers that skip with a reason, and a check that nothing leaks.

A leak is something the session made outside its temporary directories and left behind: a mount,
a control group, a network link, an nftables table or a process. It is always shown at the end, and
fails the run with `--fail-on-leaks`, which `make test` gives; without it several runs can share a
machine.
"""

import contextlib
import glob
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

_GRACE_SECONDS = 20.0
_LINK_PREFIXES = ("bx", "box")
_NAME = "boxship"
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_LEAKS = pytest.StashKey[dict[str, set[str]]]()
_PARENTS = pytest.StashKey[set[str]]()
_BEFORE = pytest.StashKey[dict[str, set[str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("boxship")
    group.addoption(
        "--fuzz",
        type=int,
        default=0,
        metavar="N",
        help="try N times as many documents, other ones each time",
    )
    group.addoption("--run-slow", action="store_true", help="also run tests marked slow")
    group.addoption(
        "--fail-on-leaks", action="store_true", help="fail when mounts, cgroups, ... are left"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reasons = {name: why() for name, why in _REQUIREMENTS.items()}
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--run-slow"):
            item.add_marker(pytest.mark.skip(reason="slow: give --run-slow"))
        for name, reason in reasons.items():
            if reason and item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[_BEFORE] = _inventory()
    session.config.stash[_PARENTS] = _shared_parents()


def pytest_sessionfinish(session: pytest.Session) -> None:
    before = session.config.stash[_BEFORE]
    for parent in _shared_parents() - session.config.stash[_PARENTS]:
        # Another session's containers are in it, or it took it away.
        with contextlib.suppress(OSError):
            Path(parent).rmdir()
    deadline = time.monotonic() + _GRACE_SECONDS
    left = _difference(before)
    while left and time.monotonic() < deadline:
        # Network namespaces and killed processes go a moment after the test that ended them.
        time.sleep(0.1)
        left = _difference(before)
    session.config.stash[_LEAKS] = left
    if left and session.config.getoption("--fail-on-leaks") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    left = config.stash.get(_LEAKS, {})
    if left:
        terminalreporter.section("left behind by this session (or by another at the same time)")
    for kind, names in sorted(left.items()):
        for name in sorted(names):
            terminalreporter.line(f"{kind}: {name}")


def _difference(before: dict[str, set[str]]) -> dict[str, set[str]]:
    now = _inventory()
    return {kind: names - before[kind] for kind, names in now.items() if names - before[kind]}


def _inventory() -> dict[str, set[str]]:
    return {
        "mount": _mounts(),
        "cgroup": _cgroups(),
        "link": _links(),
        "nftables table": _tables(),
        "process": _processes(),
    }


def _mounts() -> set[str]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = (line.split(" ")[4] for line in lines)
    return {point for point in points if _NAME in point or "/pytest-of-" in point}


def _cgroups() -> set[str]:
    root = Path("/sys/fs/cgroup")
    # Unlike pathlib's, this glob passes over groups that others remove meanwhile.
    patterns = (f"{root}/{depth}/{_NAME}*" for depth in ("*", "*/*", "*/*/*"))
    found = {Path(path) for pattern in patterns for path in glob.glob(pattern)}  # noqa: PTH207
    # The parent that all containers share may stay while it is empty.
    return {str(path) for path in found if path.name != _NAME or any(path.glob("*/"))}


def _shared_parents() -> set[str]:
    """The group above all containers that have no path of their own, on each hierarchy."""
    root = "/sys/fs/cgroup"
    return {path for depth in ("", "*/") for path in glob.glob(f"{root}/{depth}{_NAME}")}  # noqa: PTH207


def _links() -> set[str]:
    return {link.name for link in Path("/sys/class/net").glob("*") if _ours(link.name)}


def _ours(name: str) -> bool:
    return name.startswith(_LINK_PREFIXES)


def _tables() -> set[str]:
    nft = shutil.which("nft")
    if nft is None or os.geteuid() != 0:
        return set()
    listing = subprocess.run(
        [nft, "list", "tables"], capture_output=True, text=True, check=False
    ).stdout
    return {line for line in listing.splitlines() if _NAME in line}


def _processes() -> set[str]:
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (
                (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            )
        except OSError:
            continue
        if "boxship.runtime" in command or "boxship daemon" in command:
            found.add(f"{entry.name} {command.strip()[:120]}")
    return found


def _root() -> str:
    return "" if os.geteuid() == 0 else "needs root"


def _user_namespaces() -> str:
    limit = Path("/proc/sys/user/max_user_namespaces")
    usable = limit.exists() and limit.read_text(encoding="ascii").strip() != "0"
    return "" if usable else "needs user namespaces"


def _overlay() -> str:
    offered = "overlay" in Path("/proc/filesystems").read_text(encoding="ascii").split()
    return _root() or ("" if offered else "needs overlayfs")


def _cgroup_mount(kind: str) -> str:
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return "" if any(line.split(" ")[2] == kind for line in mounts) else f"needs {kind} mounted"


def _cgroup1() -> str:
    return _root() or _cgroup_mount("cgroup")


def _cgroup2() -> str:
    return _root() or _cgroup_mount("cgroup2")


def _qemu() -> str:
    wanted = ("qemu-system-x86_64", "mkfs.ext4", "busybox", "ldd")
    absent = [name for name in wanted if shutil.which(name, path=_PATH) is None]
    if os.uname().machine != "x86_64":
        return "needs an x86_64 host: the guest runs its interpreter"
    return f"needs {', '.join(absent)}: .ci/packages test installs them" if absent else ""


_REQUIREMENTS: dict[str, Callable[[], str]] = {
    "root": _root,
    "userns": _user_namespaces,
    "overlayfs": _overlay,
    "netns": _root,
    "cgroup1": _cgroup1,
    "cgroup2": _cgroup2,
    "qemu": _qemu,
}
