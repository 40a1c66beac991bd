"""The file system to write to. Links in it, which the base image made, stay inside it."""

import errno
import os
import posixpath
import stat
from contextlib import suppress

from boxship.builder.worker.files.tree import Facts
from boxship.errors import InvalidArgumentError
from boxship.kernel import safepath

_PATH = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_LINKS = 40


class Target:
    """A writable root. Directories are named by descriptors, names in them are single components.

    Args:
        root: descriptor of the root directory.
    """

    def __init__(self, root: int) -> None:
        self.root = root

    def is_directory(self, path: str) -> bool:
        try:
            os.close(safepath.open_in_root(self.root, path, _PATH))
        except OSError:
            return False
        return True

    def follow(self, path: str) -> str:
        """Where a path leads when its last component is a link, even one that dangles.

        Raises:
            InvalidArgumentError: links lead in a circle.
        """
        for _ in range(_MAX_LINKS):
            try:
                found = safepath.open_in_root(self.root, path, os.O_PATH | os.O_NOFOLLOW)
            except OSError:
                return path
            try:
                if not stat.S_ISLNK(os.fstat(found).st_mode):
                    return path
                # An empty path reads the link that the descriptor is (readlinkat(2)).
                path = posixpath.join(posixpath.dirname(path), os.readlink("", dir_fd=found))
            finally:
                os.close(found)
        raise InvalidArgumentError(f"{path}: too many levels of symbolic links")

    def directory(self, path: str, owner: tuple[int, int]) -> tuple[int, bool]:
        """A descriptor of a directory, made with its parents if need be; whether it is new.

        Raises:
            InvalidArgumentError: something that is no directory is in the way.
        """
        try:
            return safepath.open_in_root(self.root, path, _PATH), False
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise InvalidArgumentError(f"mkdir {path}: {error.strerror}") from error
        followed = self.follow(path.rstrip("/"))
        if followed != path.rstrip("/"):
            return self.directory(followed, owner)
        parent_path, _, name = path.rstrip("/").rpartition("/")
        parent, _ = self.directory(parent_path or "/", owner)
        try:
            descriptor, _ = self.enter(parent, name, path)
        finally:
            os.close(parent)
        self.describe(descriptor, owner, 0o755)
        return descriptor, True

    def enter(self, parent: int, name: str, path: str) -> tuple[int, bool]:
        """A descriptor of a directory in an open one, made if need be; whether a link led to it.

        A link to a directory is followed inside the root, so that copying `lib/` onto an image
        whose `/lib` is a link works.
        """
        with suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=parent)
        try:
            return os.open(name, _PATH | os.O_NOFOLLOW, dir_fd=parent), False
        except OSError:
            pass
        try:
            return safepath.open_in_root(self.root, path, _PATH), True
        except OSError as error:
            raise InvalidArgumentError(f"cannot copy to non-directory: {path}") from error

    def describe(self, descriptor: int, owner: tuple[int, int], mode: int) -> None:
        """Give a directory its owner and its exact mode."""
        place = f"/proc/self/fd/{descriptor}"
        os.chown(place, *owner)
        os.chmod(place, mode)  # noqa: PTH101 - the path of a descriptor

    def create(self, parent: int, name: str, mode: int, owner: tuple[int, int]) -> int:
        """A new empty file, open for writing, in place of any file or link of that name.

        Raises:
            InvalidArgumentError: a directory has the name.
        """
        try:
            descriptor = os.open(name, _NEW, mode, dir_fd=parent)
        except FileExistsError:
            self.clear(parent, name)
            descriptor = os.open(name, _NEW, mode, dir_fd=parent)
        # After chown, which takes the set-uid bits away, and whatever a default ACL did.
        os.fchown(descriptor, *owner)
        if mode & 0o7000:
            os.fchmod(descriptor, mode)
        return descriptor

    def clear(self, parent: int, name: str) -> None:
        """Make way for a file."""
        try:
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            pass
        except IsADirectoryError as error:
            raise InvalidArgumentError(f"cannot replace directory {name} with a file") from error

    def special(self, parent: int, name: str, facts: Facts, mode: int) -> None:
        """A fifo or device node like the given one."""
        self.clear(parent, name)
        kind = stat.S_IFMT(facts.mode)
        os.mknod(name, kind | mode, facts.device, dir_fd=parent)
        os.chmod(name, mode, dir_fd=parent)

    def link(self, parent: int, name: str, text: str) -> None:
        """A symbolic link."""
        try:
            os.symlink(text, name, dir_fd=parent)
        except FileExistsError:
            self.clear(parent, name)
            os.symlink(text, name, dir_fd=parent)
