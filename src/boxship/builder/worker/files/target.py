"""The file system to write to. Links in it, which the base image made, stay inside it."""

import errno
import os
import stat
from contextlib import suppress

from boxship.builder.worker.files.xattrs import copy_xattrs
from boxship.errors import InvalidArgumentError
from boxship.kernel import safepath

_PATH = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SMALL = 128 << 10
_COPY = 1 << 30


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
        parent_path, _, name = path.rstrip("/").rpartition("/")
        parent, _ = self.directory(parent_path or "/", owner)
        try:
            return self.enter(parent, name, path, owner)
        finally:
            os.close(parent)

    def enter(
        self, parent: int, name: str, path: str, owner: tuple[int, int], mode: int = 0o755
    ) -> tuple[int, bool]:
        """A descriptor of a directory in an open one, made if need be; whether it is new.

        A link to a directory is followed inside the root, so that copying `lib/` onto an image
        whose `/lib` is a link works.
        """
        try:
            os.mkdir(name, mode, dir_fd=parent)
        except FileExistsError:
            try:
                return safepath.open_in_root(self.root, path, _PATH), False
            except OSError as error:
                raise InvalidArgumentError(f"cannot copy to non-directory: {path}") from error
        descriptor = os.open(name, _PATH | os.O_NOFOLLOW, dir_fd=parent)
        self.describe(descriptor, owner, mode)
        return descriptor, True

    def describe(self, descriptor: int, owner: tuple[int, int], mode: int) -> None:
        """Give a new directory its owner and its exact mode."""
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

    def write(self, source: int, target: int, size: int) -> None:
        """Copy content and extended attributes of an open file to a new one."""
        copy_xattrs(source, target)
        if size <= _SMALL:
            # A read that comes up short of what was asked has met the end.
            data = os.read(source, _SMALL + 1)
            if len(data) <= _SMALL:
                while data:
                    data = data[os.write(target, data) :]
                return
            os.lseek(source, 0, os.SEEK_SET)
        _copy_range(source, target)

    def special(self, parent: int, name: str, facts: os.stat_result, mode: int) -> None:
        """A fifo or device node like the given one."""
        self.clear(parent, name)
        kind = stat.S_IFMT(facts.st_mode)
        os.mknod(name, kind | mode, facts.st_rdev, dir_fd=parent)
        os.chmod(name, mode, dir_fd=parent)

    def link(self, parent: int, name: str, text: str) -> None:
        """A symbolic link."""
        try:
            os.symlink(text, name, dir_fd=parent)
        except FileExistsError:
            self.clear(parent, name)
            os.symlink(text, name, dir_fd=parent)


def _copy_range(source: int, target: int) -> None:
    """Copy by the kernel: shared blocks where the file system can, no trip through memory."""
    with suppress(OSError):
        while os.copy_file_range(source, target, _COPY):
            pass
        return
    # Between file systems (EXDEV) the offsets have not moved further than what was copied.
    while os.sendfile(target, source, None, _COPY):
        pass
