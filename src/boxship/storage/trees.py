"""Directory trees: made like others, and removed in the background."""

import os
import stat
import threading
from pathlib import Path

from boxship.errors import ConflictError
from boxship.log import warn

# Deeper trees are taken apart from the middle, so that neither the stack nor descriptors run out.
_MAX_DEPTH = 64


class Trash:
    """Trees on their way out: renamed away at once, deleted by a thread.

    Renaming frees the name in microseconds; deleting 15,000 files takes a second. The thread ends
    when nothing is left to do. A tree that a crash left in the trash is deleted by `empty`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._pending: list[str] = []
        self._thread: threading.Thread | None = None
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, tree: Path) -> bool:
        """Remove a tree; tell whether it was there. It must be on the trash's file system."""
        name = os.urandom(12).hex()
        try:
            tree.rename(self._directory / name)
        except FileNotFoundError:
            return False
        self._delete(name)
        return True

    def empty(self) -> None:
        """Delete what an earlier process left in the directory."""
        for path in self._directory.iterdir():
            self._delete(path.name)

    def close(self) -> None:
        """Wait until everything put so far is deleted."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _delete(self, name: str) -> None:
        with self._lock:
            self._pending.append(name)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="trash", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._pending:
                    self._thread = None
                    return
                name = self._pending.pop()
            try:
                delete_tree(self._directory / name)
            except FileNotFoundError:
                # Another thread or process is emptying the same directory.
                continue
            except (OSError, ConflictError) as failure:
                warn(f"cannot delete {self._directory / name}: {failure}; trying again at start")


def remove_tree(tree: Path, trash: Path) -> bool:
    """Rename a tree into the trash directory and delete it in the background.

    Returns whether it was there. Both must be on one file system.
    """
    return Trash(trash).put(tree)


def delete_tree(tree: Path) -> None:
    """Delete a tree now; does nothing when it is absent. Symbolic links are not followed.

    Raises:
        ConflictError: something is mounted inside; what is mounted is left alone.
        OSError: something could not be deleted.
    """
    try:
        facts = os.lstat(tree)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(facts.st_mode):
        tree.unlink()
        return
    top = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        mount = _mount_id(top)
        while _empty_directory(top, top, mount, 0):
            pass
    finally:
        os.close(top)
    tree.rmdir()


def _empty_directory(directory: int, top: int, mount: str, depth: int) -> bool:
    """Delete a directory's entries; tell whether some were moved to the top to be done later."""
    moved = False
    with os.scandir(directory) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.name, dir_fd=directory)
            elif depth == _MAX_DEPTH:
                os.rename(entry.name, os.urandom(12).hex(), src_dir_fd=directory, dst_dir_fd=top)
                moved = True
            else:
                moved |= _delete_directory(entry.name, directory, (top, mount, depth))
    return moved


def _delete_directory(name: str, parent: int, state: tuple[int, str, int]) -> bool:
    top, mount, depth = state
    directory = os.open(
        name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent
    )
    try:
        # Device numbers cannot tell: a bind mount of the same file system has the same one.
        if _mount_id(directory) != mount:
            raise ConflictError(f"a file system is mounted on {name!r}", hint="unmount it first")
        moved = _empty_directory(directory, top, mount, depth + 1)
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=parent)
    return moved


def _mount_id(fd: int) -> str:
    """The mount a descriptor is on (proc(5), fdinfo, kernel 3.15)."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as facts:  # noqa: PTH123 - half the cost
        for line in facts:
            if line.startswith("mnt_id:"):
                return line
    return ""


def make_directory(path: Path, *, mode: int = 0o755, like: Path | None = None) -> Path:
    """Make one directory, exactly with this mode, or with the owner, mode and times of another."""
    path.mkdir()
    if like is None:
        path.chmod(mode)
        return path
    facts = like.stat()
    os.chown(path, facts.st_uid, facts.st_gid)
    path.chmod(stat.S_IMODE(facts.st_mode))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    return path
