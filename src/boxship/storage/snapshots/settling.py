"""Layers on their way to the disk: what a power cut may have spoilt is told at the next boot.

A layer appears by rename, but what is in it reaches the disk later; syncing thousands of files
before the rename would cost more than unpacking them. So each new layer carries a mark with the
host's boot id:

    ROOT/l/HEX16/unsettled      the boot id; absent once the layer is on the disk

A while after the last layer came, one syncfs(2) brings all of them to the disk and the marks go. A
mark of another boot means that the host went down before: that layer, and all above it, may be
spoilt, and is unpacked again from its blob when it is needed. The mark is made before the rename
in the same directory, so a journal that has the layer's name has the mark too.
"""

import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from boxship.errors import InvalidArgumentError
from boxship.kernel.durability import sync_file_system
from boxship.log import warn
from boxship.model.digest import Digest
from boxship.storage.snapshots.names import short_name

_MARK = "unsettled"
QUIET_SECONDS = 5.0


class Settling:
    """The marks of one directory of layers.

    Args:
        layers: the directory.
        boot: name of this boot of the host.
        quiet: seconds without a new layer before the disk is made to write.
    """

    def __init__(self, layers: Path, boot: str, quiet: float = QUIET_SECONDS) -> None:
        self._layers = layers
        self._boot = boot
        self._quiet = quiet
        self._lock = threading.Lock()
        self._came = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def mark(self, directory: Path) -> None:
        """Before a layer is published: it is not on the disk yet."""
        (directory / _MARK).write_text(self._boot)

    def published(self) -> None:
        """A marked layer has its name: have it written to the disk, a while later."""
        with self._lock:
            self._came.set()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="settling", daemon=True)
                self._thread.start()

    def spoilt(self) -> set[Path]:
        """Layers that an earlier boot may not have brought to the disk, and those above them."""
        found = {mark.parent for mark in self._marks() if _read(mark) != self._boot}
        if not found:
            return found
        below = {place: _parent(place) for place in self._layers.iterdir()}
        names = {place.name for place in found}
        while more := {p for p, parent in below.items() if parent in names and p.name not in names}:
            found |= more
            names |= {place.name for place in more}
        return found

    def resume(self) -> None:
        """Go on with the marks that an earlier process of this boot left."""
        if any(True for _ in self._marks()):
            self.published()

    def close(self) -> None:
        """Stop waiting; what is marked stays so."""
        with self._lock:
            self._closed = True
            thread = self._thread
            self._came.set()
        if thread is not None:
            thread.join()

    def _marks(self) -> Iterable[Path]:
        return self._layers.glob(f"*/{_MARK}")

    def _work(self) -> None:
        while self._is_quiet():
            self._settle()
            with self._lock:
                if not self._came.is_set():
                    self._thread = None
                    return

    def _is_quiet(self) -> bool:
        """Wait until no layer came for a while; False when this is closed meanwhile."""
        while True:
            self._came.clear()
            if self._closed:
                return False
            if not self._came.wait(self._quiet):
                return True

    def _settle(self) -> None:
        # Those that come from now on keep their marks.
        marks = list(self._marks())
        try:
            sync_file_system(str(self._layers))
        except OSError as failure:
            warn(f"layers in {self._layers} are not on the disk yet: {failure}")
            return
        for mark in marks:
            with suppress(FileNotFoundError):
                mark.unlink()


def _read(mark: Path) -> str:
    # A mark that the power cut spoilt itself is empty, and so of no boot.
    with suppress(OSError, ValueError):
        return mark.read_text()
    return ""


def _parent(place: Path) -> str:
    """Directory name of the layer below; empty for none."""
    with suppress(OSError, ValueError, InvalidArgumentError):
        return short_name(Digest((place / "parent").read_text()))
    return ""
