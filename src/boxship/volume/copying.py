"""Copying a directory of an image into a volume.

Paths of an image are not to be trusted: they are resolved by openat2(2) below the image's root, and
the copy works on descriptors. Neither is the volume: a container that has it already may put a link
in the place of anything at any time.

The image's layers are joined by a read-only overlay in a mount namespace of the copying thread,
which nobody sees and which goes with the thread, whatever happens.
"""

import errno
import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path

from boxship.errors import InternalError
from boxship.kernel import abi
from boxship.kernel._libc import KernelError
from boxship.kernel.mounts import mount
from boxship.kernel.namespaces import unshare
from boxship.kernel.safepath import open_in_root
from boxship.storage.trees import delete_tree

_UNFINISHED = "_unfinished"
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def populate(home: Path, target: Path, layers: Sequence[Path], path: str) -> bool:
    """Copy a directory of the image into an empty one; tell whether there was one to copy.

    Args:
        home: the volume's own directory: holds the mark of an unfinished copy, and is what the
            image is mounted on, seen by nobody else.
        target: where to copy to.
        layers: directories of the image's layers, the top one first.
        path: of the directory in the image.
    """
    mark = home / _UNFINISHED
    if mark.exists():
        _clear(target)
    elif not layers or any(target.iterdir()):
        return False
    mark.touch()
    try:
        copied = _in_own_namespace(home, target, layers, path)
    except BaseException:
        _clear(target)
        raise
    mark.unlink()
    return copied


def _clear(directory: Path) -> None:
    for entry in directory.iterdir():
        delete_tree(entry)


def _in_own_namespace(home: Path, target: Path, layers: Sequence[Path], path: str) -> bool:
    """Run the copy in a thread that is thrown away: a thread cannot give a namespace back."""
    copied: list[bool] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            copied.append(_copy_from_image(home, target, layers, path))
        except BaseException as failure:  # noqa: BLE001 - raised again by the caller
            failures.append(failure)

    thread = threading.Thread(target=work, name="populate volume")
    thread.start()
    thread.join()
    if failures:
        raise InternalError(f"cannot copy {path} of the image into {target}: {failures[0]}") from (
            failures[0]
        )
    return copied[0]


def _copy_from_image(home: Path, target: Path, layers: Sequence[Path], path: str) -> bool:
    destination = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        source = _open_source(home, layers, path)
        if source < 0:
            return False
        try:
            _Copy(destination).directory(source, destination)
        finally:
            os.close(source)
    finally:
        os.close(destination)
    return True


def _open_source(home: Path, layers: Sequence[Path], path: str) -> int:
    """A descriptor of the directory in the image; -1 when there is none."""
    root = _open_image(home, layers)
    try:
        return open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY)
    except KernelError as failure:
        if failure.errno in _ABSENT:
            return -1
        raise
    finally:
        os.close(root)


def _open_image(mountpoint: Path, layers: Sequence[Path]) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    if len(layers) == 1:
        return os.open(layers[0], flags)
    unshare(abi.CLONE_NEWNS)
    mount("", "/", "", abi.MS_REC | abi.MS_PRIVATE)
    # Relative paths: the options must fit into a page. The working directory is the thread's own,
    # since unshare(CLONE_NEWNS) implies CLONE_FS.
    common = os.path.commonpath(layers)
    os.chdir(common)
    lower = ":".join(_escaped(os.path.relpath(layer, common)) for layer in layers)
    # Layers mark what they hide by user attributes: see storage.snapshots.store.
    options = f"lowerdir={lower},userxattr"
    mount("overlay", str(mountpoint), "overlay", abi.MS_RDONLY, options)
    return os.open(mountpoint, flags)


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


class _Copy:
    """One tree to copy; remembers where files with several names went."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._linked: dict[int, str] = {}

    def directory(self, source: int, target: int, place: str = "") -> None:
        """Copy what is in a directory, then its own owner, mode and times."""
        for name in sorted(os.listdir(source)):
            self._entry(name, source, target, f"{place}{name}")
        _copy_attributes(source, target)
        facts = os.fstat(source)
        os.fchown(target, facts.st_uid, facts.st_gid)
        os.fchmod(target, stat.S_IMODE(facts.st_mode))
        os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    def _entry(self, name: str, source: int, target: int, place: str) -> None:
        facts = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISDIR(facts.st_mode):
            os.mkdir(name, 0o700, dir_fd=target)
            self._descend(name, source, target, place)
            return
        known = self._linked.get(facts.st_ino)
        if known is not None and facts.st_nlink > 1:
            self._link(known, name, target)
            return
        if facts.st_nlink > 1:
            self._linked[facts.st_ino] = place
        if stat.S_ISREG(facts.st_mode):
            _copy_file(name, source, target, facts)
        elif stat.S_ISLNK(facts.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            _copy_ownership(name, target, facts)
        elif not stat.S_ISSOCK(facts.st_mode) and not _is_whiteout(facts):
            os.mknod(name, facts.st_mode, facts.st_rdev, dir_fd=target)
            _copy_ownership(name, target, facts)
            _set_mode(name, target, facts)

    def _link(self, known: str, name: str, target: int) -> None:
        """Give a file of the volume one more name; its path is looked up within the volume."""
        found = open_in_root(self._root, known, os.O_PATH | os.O_NOFOLLOW)
        try:
            os.link(f"/proc/self/fd/{found}", name, dst_dir_fd=target, follow_symlinks=True)
        finally:
            os.close(found)

    def _descend(self, name: str, source: int, target: int, place: str) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        below = os.open(name, flags, dir_fd=source)
        try:
            above = os.open(name, flags, dir_fd=target)
            try:
                self.directory(below, above, f"{place}/")
            finally:
                os.close(above)
        finally:
            os.close(below)


def _is_whiteout(facts: os.stat_result) -> bool:
    """A mark of overlayfs (a device 0:0), which a single layer shows as it is."""
    return stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0


def _copy_file(name: str, source: int, target: int, facts: os.stat_result) -> None:
    reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        writing = os.open(name, flags, 0o600, dir_fd=target)
        try:
            left = facts.st_size
            while left and (count := os.sendfile(writing, reading, None, left)):
                left -= count
            os.fchown(writing, facts.st_uid, facts.st_gid)
            # After the owner, whose change drops set-user-id bits and capabilities.
            os.fchmod(writing, stat.S_IMODE(facts.st_mode))
            _copy_attributes(reading, writing)
            os.utime(writing, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _copy_ownership(name: str, target: int, facts: os.stat_result) -> None:
    os.chown(name, facts.st_uid, facts.st_gid, dir_fd=target, follow_symlinks=False)
    times = (facts.st_atime_ns, facts.st_mtime_ns)
    os.utime(name, ns=times, dir_fd=target, follow_symlinks=False)


def _set_mode(name: str, target: int, facts: os.stat_result) -> None:
    # By descriptor: chmod(2) follows a link that stands there meanwhile.
    node = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=target)
    try:
        if stat.S_IFMT(os.fstat(node).st_mode) == stat.S_IFMT(facts.st_mode):
            Path(f"/proc/self/fd/{node}").chmod(stat.S_IMODE(facts.st_mode))
    finally:
        os.close(node)


def _copy_attributes(source: int, target: int) -> None:
    for name in os.listxattr(source):
        # What overlayfs keeps for itself means nothing elsewhere.
        if not name.startswith(("trusted.overlay.", "user.overlay.")):
            os.setxattr(target, name, os.getxattr(source, name))
