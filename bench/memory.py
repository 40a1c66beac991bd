"""What an engine's own processes take of the machine, containers' processes left out."""

import contextlib
import os
from pathlib import Path

_OUR_PIDS = Path("/proc/self/ns/pid").readlink()


def processes(base: Path) -> list[int]:
    """An engine's processes: those that name its directory, and what they started on this host.

    A container's process has a pid namespace of its own, and is left out by that.
    """
    parents: dict[int, int] = {}
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            pid = int(entry.name)
            if (entry / "ns/pid").readlink() != _OUR_PIDS or pid == os.getpid():
                continue
            parents[pid] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if _names(base, (entry / "cmdline").read_bytes()):
                found.add(pid)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def _names(base: Path, arguments: bytes) -> bool:
    inside = f"{base}/".encode()
    return any(word == inside[:-1] or inside in word for word in arguments.split(b"\0"))


def pss(pids: list[int]) -> float:
    """Proportional set size of processes together, in MB."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


def cpu(pids: list[int]) -> float:
    """Seconds of processor that processes used so far."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")
