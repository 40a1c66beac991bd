"""The helper's mounts: overlays that only its own mount namespace shows."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from boxship.kernel import abi, mounts, namespaces
from boxship.model.mount import Mount

# mount(2) takes one page of options; stay clear of its end.
_PAGE = 4000
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class MountedRoot(NamedTuple):
    """A root: descriptor, and a path to it that is good in this process and its children."""

    descriptor: int
    path: str


class Roots:
    """Roots by what they are made of. Read-only ones stay mounted for the next request."""

    def __init__(self, scratch: str) -> None:
        self._scratch = scratch
        self._private = False
        self._kept: dict[Mount, MountedRoot] = {}
        self._count = 0

    def reading(self, spec: Mount) -> MountedRoot:
        if spec not in self._kept:
            self._kept[spec] = self._open(spec)
        return self._kept[spec]

    @contextmanager
    def writing(self, spec: Mount) -> Iterator[MountedRoot]:
        """A root for the length of the block."""
        root = self._open(spec)
        try:
            yield root
        finally:
            os.close(root.descriptor)
            if spec.type == "overlay":
                mounts.umount(root.path)

    def _open(self, spec: Mount) -> MountedRoot:
        if spec.type == "bind":
            return MountedRoot(os.open(spec.source, _OPEN), spec.source)
        if not self._private:
            _enter_private_namespace()
            self._private = True
        self._count += 1
        # In the reach of this process only; the directory below is empty for everybody else.
        path = f"{self._scratch}/{self._count}"
        Path(path).mkdir(0o700)
        _mount_overlay(spec, path)
        return MountedRoot(os.open(path, _OPEN), path)


def _enter_private_namespace() -> None:
    """Leave the host's mount namespace, so that every mount ends with this process."""
    namespaces.unshare(abi.CLONE_NEWNS)
    mounts.mount("none", "/", "", abi.MS_REC | abi.MS_PRIVATE)


def _mount_overlay(spec: Mount, path: str) -> None:
    data = ",".join(option for option in spec.options if option not in ("ro", "rw"))
    read_only = abi.MS_RDONLY if "ro" in spec.options else 0
    if len(data) < _PAGE:
        mounts.mount(spec.source, path, "overlay", read_only, data)
        return
    context = mounts.fsopen("overlay")
    try:
        _configure(context, data)
        mounts.fscreate(context, "overlay")
        tree = mounts.fsmount(context, abi.MOUNT_ATTR_RDONLY if read_only else 0)
    finally:
        os.close(context)
    try:
        mounts.move_mount(tree, abi.AT_FDCWD, path)
    finally:
        os.close(tree)


def _configure(context: int, data: str) -> None:
    """Give the options one by one: `lowerdir+` appends a layer (kernel 6.5)."""
    for option in data.split(","):
        key, equals, value = option.partition("=")
        if key == "lowerdir":
            for layer in value.split(":"):
                mounts.fsconfig(context, "lowerdir+", layer)
        else:
            mounts.fsconfig(context, key, value if equals else None)
