"""The groups this process is in, and which others it may make and enter."""

import os


def own_paths(file: str = "/proc/self/cgroup") -> dict[str, str]:
    """Controller to path of the caller's group, as its cgroup namespace shows it; v2's under ``."""
    paths: dict[str, str] = {}
    with open(file, encoding="utf-8", errors="surrogateescape") as lines:  # noqa: PTH123 - slow
        for line in lines:
            _, names, path = line.rstrip("\n").split(":", 2)
            paths.update(dict.fromkeys(names.split(","), path))
    return paths


def can_make(directory: str) -> bool:
    """Whether the caller may make a group, or use it where it is there."""
    nearest = directory
    while not os.path.isdir(nearest):  # noqa: PTH112 - pathlib is slow to import
        nearest = nearest.rpartition("/")[0]
        if not nearest:
            return False
    if nearest == directory and not can_enter(directory):
        return False
    return os.access(nearest, os.W_OK | os.X_OK)


def can_enter(directory: str) -> bool:
    """Whether the caller may put processes into a group."""
    return os.access(f"{directory}/cgroup.procs", os.W_OK)


def common_group(one: str, other: str) -> str:
    """The nearest group that two are below of."""
    return os.path.commonpath((one, other))
