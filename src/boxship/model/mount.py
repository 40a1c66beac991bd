"""The one mount value that stores hand out and runtimes carry out."""

import msgspec


class Mount(msgspec.Struct, frozen=True):
    """A mount as in mount(8) and the OCI runtime spec.

    Attributes:
        type: file system type: `overlay`, `bind`, `tmpfs`, ...
        source: device, directory, or a name.
        target: where it goes, relative to the root it is made for; empty for the root itself.
        options: fstab-style options (`ro`, `rbind`, `lowerdir=...`).
    """

    type: str
    source: str
    target: str = ""
    options: tuple[str, ...] = ()
