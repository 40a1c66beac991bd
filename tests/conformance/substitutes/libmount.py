"""What crun's tests ask of libmount's module, where it is not installed: a table of mounts."""

from pathlib import Path


class Entry:
    """A line of a mountinfo file (proc_pid_mountinfo(5))."""

    def __init__(self, line: str) -> None:
        mount, _, filesystem = line.partition(" - ")
        words = mount.split()
        self.target = words[4]
        self.vfs_options = words[5]
        self.fs_options = filesystem.split(maxsplit=2)[2]


class Table:
    """A mountinfo file."""

    def __init__(self, path: str) -> None:
        lines = Path(path).read_text().splitlines()
        self._entries = [Entry(line) for line in lines if " - " in line]

    def find_target(self, path: str) -> Entry | None:
        """The last mount at a place: the one that is seen."""
        return next((entry for entry in reversed(self._entries) if entry.target == path), None)
