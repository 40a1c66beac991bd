"""What one daemon has made outside and inside its directories, and what of it nobody owns.

`Census.take` lists everything by kind; `Census.leaks` compares it with what the daemon says there
is, and names whatever is too much or missing.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from boxship.kernel import netlink
from boxship.kernel.nftables import Nftables

ROLES = {
    "boxship.daemon": "daemon",
    "boxship.runtime.keeper.main": "keeper",
    "boxship.runtime.launcher": "launcher",
    "boxship.storage.diff.extract": "extractor",
    "boxship.builder.worker.files.main": "file helper",
}
_CGROUPS = Path("/sys/fs/cgroup")
_PATIENCE = 30.0
_PAUSE = 0.02

Listing = dict[str, set[str]]


class Process(NamedTuple):
    """One process: its id, what it is, and the control group it is in."""

    pid: int
    role: str
    group: str


class Census:
    """Everything of the daemon whose directories are below `root`.

    Args:
        root: holds its data root `data` and its exec root `exec`.
        group: its control group parent, as `/name`.
        network: descriptor of the network namespace it lives in.
        inside: runs a function within that namespace.
    """

    def __init__(
        self, root: Path, group: str, network: int, inside: Callable[[Callable[[], Any]], Any]
    ) -> None:
        self._root = root
        self._data = root / "data"
        self._exec = root / "exec"
        self._group = group
        self._network = os.fstat(network).st_ino
        self._inside = inside

    def take(self) -> Listing:
        """Names of everything there is, by kind."""
        return {
            "mount": self._mounts(),
            "control group": self._groups(),
            "link": self._inside(_links),
            "published port": self._inside(_published),
            "table": self._inside(_tables),
            "process": {f"{p.role} {p.group}".strip() for p in self.processes()},
            "active snapshot": _names(self._data / "snapshots" / "active"),
            "half-made snapshot": _names(self._data / "snapshots" / "staging"),
            "layer": set(self._chains()),
            "rubbish": _names(self._data / "trash") | _names(self._data / "snapshots" / "trash"),
            "bundle": _names(self._exec / "bundles"),
            "container directory": _names(self._data / "containers"),
            "keeper's record": _names(self._exec / "keeper", "*.json"),
            "temporary": _names(self._data / "tmp") | _names(self._data / "builder" / "tmp"),
            "partial download": _names(self._data / "content" / "ingest"),
            "blob": _names(self._data / "content" / "blobs" / "sha256"),
            "volume": _names(self._data / "volumes") - {".trash", "trash", "metadata.db"},
        }

    def processes(self) -> list[Process]:
        """Every process of the daemon's network namespace or its control groups."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                group = _group_of((entry / "cgroup").read_text(), self._group)
                network = (entry / "ns" / "net").stat().st_ino
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                # It ended meanwhile, or is a zombie.
                continue
            if network == self._network or group:
                # Before it executes its program it bears the launcher's.
                role = "container" if group else _role(command)
                found.append(Process(int(entry.name), role, group))
        return found

    def leaks(self, containers: list[dict[str, Any]], **allowed: set[str]) -> list[str]:
        """What is too much or missing, once what is on its way out is gone.

        Args:
            containers: inspection of all containers there are.
            allowed: further things of a kind (blanks as underscores) that are there.
        """
        expected = _expected(containers)
        for kind, names in allowed.items():
            expected[kind.replace("_", " ")] = expected.get(kind.replace("_", " "), set()) | names
        deadline = time.monotonic() + _PATIENCE
        while True:
            differences = list(_differences(self.take(), expected))
            if not differences or time.monotonic() > deadline:
                return differences
            time.sleep(_PAUSE)

    def _mounts(self) -> set[str]:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        return {point for line in lines if str(self._root) in (point := line.split(" ")[4])}

    def _groups(self) -> set[str]:
        found: set[str] = set()
        for hierarchy in [_CGROUPS, *_CGROUPS.glob("*/")]:
            top = hierarchy / self._group.lstrip("/")
            # Unlike pathlib's, this walk passes over groups that are removed meanwhile.
            for place, names, _ in os.walk(top):
                found |= {str((Path(place) / name).relative_to(top)) for name in names}
        return found

    def _chains(self) -> Iterator[str]:
        for path in self._data.glob("snapshots/l/*/chain"):
            # The layer may be removed meanwhile.
            with suppress(FileNotFoundError):
                yield path.read_text()


def _expected(containers: list[dict[str, Any]]) -> Listing:
    ids = {one["Id"] for one in containers}
    living = [one for one in containers if one["State"]["Running"]]
    running = {one["Id"] for one in living}
    return {
        "mount": set(),
        "control group": running,
        "process": {"daemon", "keeper", "launcher", *(f"container {one}" for one in running)},
        "active snapshot": ids,
        "half-made snapshot": set(),
        "rubbish": set(),
        "bundle": running,
        "container directory": ids,
        "keeper's record": {f"{one}.json" for one in running},
        "temporary": set(),
        "partial download": set(),
        "published port": {
            binding["HostPort"]
            for one in living
            for bindings in (one["NetworkSettings"]["Ports"] or {}).values()
            for binding in bindings or ()
        },
    }


def _differences(there: Listing, expected: Listing) -> Iterator[str]:
    for kind, names in expected.items():
        yield from (f"left {kind}: {name}" for name in sorted(there[kind] - names))
        # One that was killed before it had served anything is not replaced before it is needed.
        needed = names - {"launcher"}
        yield from (f"missing {kind}: {name}" for name in sorted(needed - there[kind]))


def _role(command: str) -> str:
    return next((role for text, role in ROLES.items() if text in command), "container")


def _group_of(text: str, parent: str) -> str:
    """The container's group, of any hierarchy, or nothing."""
    for line in text.splitlines():
        path = line.split(":", 2)[2]
        if path.startswith(f"{parent}/"):
            return path[len(parent) + 1 :].split("/")[0]
    return ""


def _names(directory: Path, pattern: str = "*") -> set[str]:
    return {path.name for path in directory.glob(pattern)}


def _links() -> set[str]:
    with netlink.RouteSocket() as route:
        return {link.name for link in netlink.links(route) if link.name != "lo"}


def _ruleset() -> list[dict[str, Any]]:
    nft = Nftables()
    try:
        listing: list[dict[str, Any]] = json.loads(nft.run("list ruleset", json=True))["nftables"]
    finally:
        nft.close()
    return listing


def _tables() -> set[str]:
    return {entry["table"]["name"] for entry in _ruleset() if "table" in entry}


def _published() -> set[str]:
    found: set[str] = set()
    for entry in _ruleset():
        named = entry.get("map", {})
        if named.get("name", "").startswith("published"):
            found |= {str(key["concat"][-1]) for key, _ in named.get("elem", ())}
    return found
