"""Devices of the host to show in a container."""

import os
import stat
from typing import Any, NamedTuple

# Directories of /dev that a container has of its own, and what other engines leave there.
_OWN = frozenset(("pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"))


class DeviceEntry(NamedTuple):
    """A device node as the host has it.

    Attributes:
        path: where it goes in the container.
        kind: `b` or `c`.
        mode: permissions.
    """

    path: str
    kind: str
    major: int
    minor: int
    mode: int
    uid: int
    gid: int

    def oci(self) -> dict[str, Any]:
        """An entry of OCI `linux.devices`."""
        return {
            "path": self.path,
            "type": self.kind,
            "major": self.major,
            "minor": self.minor,
            "fileMode": self.mode,
            "uid": self.uid,
            "gid": self.gid,
        }

    def rule(self, access: str) -> dict[str, Any]:
        """An entry of OCI `linux.resources.devices` that allows it."""
        return {
            "allow": True,
            "type": self.kind,
            "major": self.major,
            "minor": self.minor,
            "access": access,
        }


def find_devices(source: str, target: str) -> list[DeviceEntry]:
    """The device at a path, or all below a directory.

    Raises:
        OSError: the path does not exist (ENOENT) or is no device (ENODEV).
    """
    status = os.stat(source)  # noqa: PTH116 - a symbolic link stands for its device
    if stat.S_ISDIR(status.st_mode):
        return list(_below(source, target))
    entry = _entry(target, status)
    if entry is None:
        raise OSError(19, "not a device node", source)
    return [entry]


def every_device(root: str = "/dev") -> list[DeviceEntry]:
    """What a privileged container sees: every node of the host's /dev."""
    return _below(root, "/dev")


def _below(source: str, target: str) -> list[DeviceEntry]:
    found: list[DeviceEntry] = []
    with os.scandir(source) as entries:
        for item in sorted(entries, key=lambda item: item.name):
            if item.name in _OWN or item.is_symlink():
                continue
            path = f"{target}/{item.name}"
            if item.is_dir(follow_symlinks=False):
                found += _below(item.path, path)
                continue
            entry = _entry(path, item.stat(follow_symlinks=False))
            if entry is not None:
                found.append(entry)
    return found


def _entry(path: str, status: os.stat_result) -> DeviceEntry | None:
    if stat.S_ISBLK(status.st_mode):
        kind = "b"
    elif stat.S_ISCHR(status.st_mode):
        kind = "c"
    else:
        return None
    return DeviceEntry(
        path=path,
        kind=kind,
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
    )
