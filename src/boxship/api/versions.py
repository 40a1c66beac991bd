"""API versions: which we state, which we accept, and how a path carries one.

1.51 is the last version before Docker removed legacy fields, so it serves the oldest and the newest
clients alike. Newer versions than that are accepted, not refused: the API is an open schema.
"""

API_VERSION = "1.51"
MIN_API_VERSION = "1.24"

Version = tuple[int, int]

LATEST: Version = (1, 51)


def split_version(path: str) -> tuple[Version, str]:
    """Part `/v1.41/containers/json` into its version and the rest; without one it is the latest.

    A path whose first segment only looks like a version (`/v1`, `/volumes`) is left whole.
    """
    if not path.startswith("/v"):
        return LATEST, path
    head, slash, tail = path[2:].partition("/")
    major, dot, minor = head.partition(".")
    if not (dot and major.isdigit() and minor.isdigit()):
        return LATEST, path
    return (int(major), int(minor)), slash + tail
