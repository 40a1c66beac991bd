"""top: the processes of a container."""

import os
import pwd
import time
from pathlib import Path

from boxship.engine.containers.kill import not_running
from boxship.engine.containers.store import Entry
from boxship.engine.sandboxes.ranges import SIZE

TITLES = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
_TICKS = os.sysconf("SC_CLK_TCK")
_TTY_MAJORS = {136: "pts", 4: "tty"}


def top(entry: Entry) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Titles and rows as `ps -ef` prints them; ids of users are those inside the container.

    Raises:
        ConflictError: it does not run.
    """
    container = entry.container
    if not container.state.pid:
        raise not_running(entry)
    namespace = Path(f"/proc/{container.state.pid}/ns/pid").readlink()
    rows: list[tuple[str, ...]] = []
    for pid in sorted(int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        try:
            if Path(f"/proc/{pid}/ns/pid").readlink() == namespace:
                rows.append(_row(pid, container.user_base))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return TITLES, tuple(rows)


def _row(pid: int, base: int) -> tuple[str, ...]:
    process = Path(f"/proc/{pid}")
    name, fields = _stat(process)
    command = (process / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")
    seconds = (int(fields[11]) + int(fields[12])) // _TICKS
    began = _boot_time() + int(fields[19]) // _TICKS
    return (
        _user(process.stat().st_uid, base),
        str(pid),
        fields[1],
        "0",
        time.strftime("%H:%M", time.localtime(began)),
        _terminal(int(fields[4])),
        time.strftime("%H:%M:%S", time.gmtime(seconds)),
        command.decode(errors="replace") or f"[{name}]",
    )


def _stat(process: Path) -> tuple[str, list[str]]:
    """Name of a process, and the fields of /proc/PID/stat from the third on."""
    head, _, tail = (process / "stat").read_text(errors="replace").rpartition(")")
    return head.partition("(")[2], tail.split()


def _user(uid: int, base: int) -> str:
    if base and base <= uid < base + SIZE:
        uid -= base
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _terminal(number: int) -> str:
    major, minor = number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00
    return f"{_TTY_MAJORS[major]}/{minor}" if major in _TTY_MAJORS else "?"


def _boot_time() -> int:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return int(line.split()[1])
    return 0
