"""The snapshot store: root file systems by key and parent.

Life cycle:

    stage(name, parent) -> fill Stage.path -> Stage.commit()     a layer is unpacked
    prepare(key, parent) -> use the mounts -> remove(key)         a container runs
    prepare(key, parent) -> use the mounts -> commit(name, key)   a build step makes a layer

A committed snapshot is one layer directory and the name of the one below it; its name is the chain
id of the stack it tops. An active snapshot is a writable directory on top of a committed one.
Nothing but directories is recorded, so there is nothing to get out of step with:

    ROOT/l/HEX16/fs             a layer's tree, in overlay form; HEX16 begins its chain id
    ROOT/l/HEX16/chain          the whole chain id
    ROOT/l/HEX16/parent         the parent's chain id; absent at the bottom
    ROOT/l/HEX16/unsettled      the host's boot id, until the layer surely is on the disk
    ROOT/active/KEY/{fs,work}   an active snapshot's tree and overlay work directory
    ROOT/active/KEY/parent      the chain id it stands on; absent when it stands on nothing
    ROOT/staging, ROOT/trash    on the way in and out; emptied at start

Directories appear by rename and disappear by rename, so a crash leaves nothing half-made under a
final name. The short layer names keep overlay's option string small: mount(2) takes one page
(4096 bytes), which is 80 layers under /var/lib; fsconfig(2) with `lowerdir+` (kernel 6.5) or
names relative to ROOT have no such limit.

Layers are mounted with `userxattr`, in whichever user namespace: opaque directories are then
marked by `user.overlay.opaque`, the one form that overlay honours and can write both as root and
inside a user namespace (docs/decisions/overlay-layer-format.md).
"""

from collections.abc import Iterator
from pathlib import Path

from boxship.errors import ConflictError, InvalidArgumentError, NotFoundError
from boxship.kernel.durability import boot_id
from boxship.model.mount import Mount
from boxship.storage.snapshots.layers import LayerDirectory, Stage
from boxship.storage.snapshots.names import check_key
from boxship.storage.snapshots.settling import QUIET_SECONDS, Settling
from boxship.storage.snapshots.usage import Usage, tree_usage
from boxship.storage.space import guard_space
from boxship.storage.trees import Trash, delete_tree, make_directory


class SnapshotStore:
    """Committed layers and active snapshots under one directory. Safe to use from any thread."""

    def __init__(self, root: Path, *, boot: str = "", quiet: float = QUIET_SECONDS) -> None:
        """Open it, without the layers that a power cut may have spoilt.

        Args:
            root: made if it is not there.
            boot: name of this boot of the host; empty to ask the kernel.
            quiet: seconds after a layer before the disk is made to write; see `settling`.
        """
        self.root = _check_root(root)
        # Set-user-id programs of images are so for the host too: only we get at them here.
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o700)
        self._active = root / "active"
        self._trash = Trash(root / "trash")
        self._settling = Settling(root / "l", boot or boot_id(), quiet)
        self._layers = LayerDirectory(root, self._trash, self._settling)
        self._active.mkdir(parents=True, exist_ok=True, mode=0o711)
        self._trash.empty()

    # Active snapshots

    def prepare(self, key: str, parent: str | None, *, volatile: bool = False) -> tuple[Mount, ...]:
        """Make an active snapshot on a committed one (None, "": on nothing) and return its mounts.

        Args:
            key: the caller's name for it: letters, digits, `_`, `.` and `-`.
            parent: chain id of the committed snapshot it stands on.
            volatile: never sync this overlay to disk: for snapshots that a crash may take.

        Raises:
            ConflictError: the key is in use.
            NotFoundError: the parent does not exist.
            ExhaustedError: no space left.
        """
        place = self._place(key)
        lower = self._layers.stack(parent) if parent else ()
        if place.exists():
            raise ConflictError(f"snapshot {key} already exists")
        with guard_space(f"snapshot {key}"):
            self._make_active(place, parent, lower)
        return self._overlay(place, lower, read_only=False, volatile=volatile)

    def mounts(
        self, key: str, *, read_only: bool = False, volatile: bool = False
    ) -> tuple[Mount, ...]:
        """The mounts of an active snapshot, again.

        Raises:
            NotFoundError: there is no such active snapshot, or its parent is gone.
        """
        place = self._existing(key)
        parent = self._parent_of(place)
        lower = self._layers.stack(parent) if parent else ()
        _forget_volatile(place / "work")
        return self._overlay(place, lower, read_only=read_only, volatile=volatile)

    def view(self, parent: str) -> tuple[Mount, ...]:
        """Read-only mounts of a committed snapshot; they need no directory and no removal.

        Raises:
            NotFoundError: there is no such committed snapshot.
        """
        return _read_only(self._layers.stack(parent))

    def upper(self, key: str) -> Path:
        """The directory that holds what was changed in an active snapshot.

        Raises:
            NotFoundError: there is no such active snapshot.
        """
        return self._existing(key) / "fs"

    def active_parent(self, key: str) -> str | None:
        """The chain id an active snapshot stands on; None for nothing.

        Raises:
            NotFoundError: there is no such active snapshot.
        """
        return self._parent_of(self._existing(key))

    def commit(self, name: str, key: str) -> None:
        """Turn an active snapshot into the committed one `name`; the key is free afterwards.

        Its mounts must be gone. When `name` exists already the active snapshot is just removed:
        equal chain ids are equal trees.

        Raises:
            NotFoundError: there is no such active snapshot.
        """
        place = self._existing(key)
        if not self._layers.exists(name):
            self._layers.adopt(name, self._parent_of(place), place / "fs")
        self._trash.put(place)

    def remove(self, key: str) -> bool:
        """Remove an active snapshot; tell whether it was there. The disk is freed a bit later."""
        return self._trash.put(self._place(key))

    def active(self) -> Iterator[str]:
        """The keys of all active snapshots."""
        return (path.name for path in self._active.iterdir())

    # Committed snapshots

    def stage(self, name: str, parent: str | None) -> Stage:
        """A private directory to unpack a layer into; `commit` publishes it as `name`.

        Raises:
            NotFoundError: the parent does not exist.
            InvalidArgumentError: the name is not a chain id.
        """
        return self._layers.stage(name, parent or None)

    def exists(self, name: str) -> bool:
        return self._layers.exists(name)

    def parent(self, name: str) -> str | None:
        """The chain id below a committed snapshot; None at the bottom.

        Raises:
            NotFoundError: there is no such committed snapshot.
        """
        return self._layers.parent(name)

    def layers(self, name: str) -> tuple[Path, ...]:
        """The layer directories of a committed snapshot, top first, in overlay form.

        Raises:
            NotFoundError: there is no such committed snapshot, or part of its stack is gone.
        """
        return self._layers.stack(name)

    def discard(self, name: str) -> bool:
        """Remove a committed snapshot; tell whether it was there. The caller knows it is unused."""
        return self._layers.discard(name)

    def walk(self) -> Iterator[tuple[str, str | None]]:
        """Every committed snapshot and its parent, in no particular order."""
        return self._layers.walk()

    def usage(self, name: str) -> Usage:
        """What one snapshot takes by itself, without its parents; reads its whole tree.

        Args:
            name: chain id of a committed snapshot, or key of an active one.

        Raises:
            NotFoundError: there is no such snapshot.
        """
        if name.startswith("sha256:"):
            return tree_usage(self._layers.tree(name))
        return tree_usage(self.upper(name))

    def close(self) -> None:
        """Wait until removed trees are deleted."""
        self._settling.close()
        self._trash.close()

    def _make_active(self, place: Path, parent: str | None, lower: tuple[Path, ...]) -> None:
        staging = self._layers.staging("active")
        try:
            make_directory(staging / "fs", like=lower[0] if lower else None)
            make_directory(staging / "work")
            if parent:
                (staging / "parent").write_text(parent)
            staging.rename(place)
        except BaseException:
            self._trash.put(staging)
            raise

    def _place(self, key: str) -> Path:
        return self._active / check_key(key)

    def _existing(self, key: str) -> Path:
        place = self._place(key)
        if not place.is_dir():
            raise NotFoundError(f"snapshot {key} does not exist")
        return place

    @staticmethod
    def _parent_of(place: Path) -> str | None:
        try:
            return (place / "parent").read_text()
        except FileNotFoundError:
            return None

    @staticmethod
    def _overlay(
        place: Path, lower: tuple[Path, ...], *, read_only: bool, volatile: bool
    ) -> tuple[Mount, ...]:
        if read_only:
            return _read_only((place / "fs", *lower))
        if not lower:
            return (Mount("bind", str(place / "fs"), options=("rbind", "rw")),)
        options = (
            f"lowerdir={_joined(lower)}",
            f"upperdir={place / 'fs'}",
            f"workdir={place / 'work'}",
            "userxattr",
        )
        return (
            Mount("overlay", "overlay", options=(*options, "volatile") if volatile else options),
        )


def _read_only(trees: tuple[Path, ...]) -> tuple[Mount, ...]:
    # Overlay refuses a single lower directory without an upper one.
    if len(trees) == 1:
        return (Mount("bind", str(trees[0]), options=("rbind", "ro")),)
    return (Mount("overlay", "overlay", options=(f"lowerdir={_joined(trees)}", "userxattr", "ro")),)


def _joined(trees: tuple[Path, ...]) -> str:
    return ":".join(map(str, trees))


def _check_root(root: Path) -> Path:
    if any(character in str(root) for character in ":,\\"):
        raise InvalidArgumentError(
            f"snapshot directory {root} holds a character that overlay cannot take",
            hint="choose a --data-root without colon, comma and backslash",
        )
    return root


def _forget_volatile(work: Path) -> None:
    """Let an upper directory that was mounted `volatile` be mounted again.

    Overlay leaves a mark and refuses it, because a crash of the host may have lost data (kernel
    5.10, Documentation/filesystems/overlayfs.rst, "Volatile mount"). Without a crash nothing is
    lost, and snapshots mounted so are those that a crash may take.
    """
    delete_tree(work / "work" / "incompat")
