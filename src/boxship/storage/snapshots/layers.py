"""Committed layers: directories that appear whole and never change."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from boxship.errors import ConflictError, InternalError, NotFoundError
from boxship.log import warn
from boxship.storage.snapshots.names import short_name
from boxship.storage.snapshots.settling import Settling
from boxship.storage.space import guard_space
from boxship.storage.trees import Trash, make_directory


class LayerDirectory:
    """The layers of one snapshot store."""

    def __init__(self, root: Path, trash: Trash, settling: Settling) -> None:
        self._layers = root / "l"
        self._staging = root / "staging"
        self._trash = trash
        self._settling = settling
        # Layers never change, so a stack is read once: a container's start asks for it twice.
        self._stacks: dict[str, tuple[Path, ...]] = {}
        self._lock = threading.Lock()
        self._layers.mkdir(parents=True, exist_ok=True, mode=0o711)
        # What a crash left behind.
        trash.put(self._staging)
        self._staging.mkdir(mode=0o700)
        for place in settling.spoilt():
            warn(f"layer {place.name} was not on the disk when the host went down: discarded")
            trash.put(place)
        settling.resume()

    def staging(self, label: str) -> Path:
        """A new private directory that a crash takes with it."""
        return make_directory(self._staging / f"{label}-{os.urandom(6).hex()}", mode=0o711)

    def exists(self, name: str) -> bool:
        return self._chain(self._place(name)) == name

    def tree(self, name: str) -> Path:
        """The directory that holds the layer's own entries.

        Raises:
            NotFoundError: there is no such layer.
        """
        if not self.exists(name):
            raise NotFoundError(f"layer {name} does not exist")
        return self._place(name) / "fs"

    def parent(self, name: str) -> str | None:
        try:
            return (self.tree(name).parent / "parent").read_text()
        except FileNotFoundError:
            return None

    def stack(self, name: str) -> tuple[Path, ...]:
        """The trees of the layer and all below it, top first.

        Raises:
            NotFoundError: one of them does not exist.
        """
        with self._lock:
            known = self._stacks.get(name)
            if known is None:
                known = self._stacks[name] = self._read_stack(name)
            return known

    def _read_stack(self, name: str) -> tuple[Path, ...]:
        trees: list[Path] = []
        below: str | None = name
        while below is not None:
            trees.append(self.tree(below))
            below = self.parent(below)
        return tuple(trees)

    def stage(self, name: str, parent: str | None) -> "Stage":
        short_name(name)
        if parent is not None:
            self.tree(parent)
        with guard_space(f"layer {name}"):
            directory = self.staging("layer")
            make_directory(directory / "fs")
        return Stage(self, directory, name, parent)

    def adopt(self, name: str, parent: str | None, tree: Path) -> None:
        """Publish a finished tree as a layer; the tree moves."""
        directory = self.staging("layer")
        try:
            tree.rename(directory / "fs")
            self.publish(directory, name, parent)
        except BaseException:
            self._trash.put(directory)
            raise

    def publish(self, directory: Path, name: str, parent: str | None) -> None:
        """Give a staged directory its final name; an equal layer that was faster is kept.

        Raises:
            ConflictError: another layer's chain id begins with the same 64 bits.
        """
        with guard_space(f"layer {name}"):
            (directory / "chain").write_text(name)
            if parent is not None:
                (directory / "parent").write_text(parent)
            self._settling.mark(directory)
        place = self._place(name)
        try:
            directory.rename(place)
            self._settling.published()
        except OSError as taken:
            if not place.is_dir():
                raise
            self._trash.put(directory)
            if self._chain(place) != name:
                raise ConflictError(
                    f"layer {name} begins like the existing layer {self._chain(place)}",
                    hint="such a pair is made on purpose; do not trust this image",
                ) from taken

    def discard(self, name: str) -> bool:
        with self._lock:
            self._stacks.clear()
            return self.exists(name) and self._trash.put(self._place(name))

    def abandon(self, directory: Path) -> None:
        self._trash.put(directory)

    def walk(self) -> Iterator[tuple[str, str | None]]:
        for place in self._layers.iterdir():
            name = self._chain(place)
            if name is not None and self.exists(name):
                yield name, self.parent(name)

    def _place(self, name: str) -> Path:
        return self._layers / short_name(name)

    @staticmethod
    def _chain(place: Path) -> str | None:
        try:
            return (place / "chain").read_text()
        except FileNotFoundError:
            return None


class Stage:
    """A layer being unpacked: fill `path`, then `commit`; leaving the block without it discards.

    Attributes:
        path: the directory to fill; its own mode and owner become those of the layer's root.
    """

    def __init__(
        self, layers: LayerDirectory, directory: Path, name: str, parent: str | None
    ) -> None:
        self._layers = layers
        self._directory: Path | None = directory
        self._name = name
        self._parent = parent
        self.path = directory / "fs"

    def commit(self, name: str | None = None) -> None:
        """Publish under the staged name, or another one that was only known after unpacking.

        Does nothing when that layer exists by now: equal chain ids are equal trees.
        """
        if self._directory is None:
            raise InternalError(f"stage of layer {self._name} is closed")
        self._layers.publish(self._directory, name or self._name, self._parent)
        self._directory = None

    def abort(self) -> None:
        """Throw away what was unpacked; does nothing after commit."""
        if self._directory is not None:
            self._layers.abandon(self._directory)
            self._directory = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()
