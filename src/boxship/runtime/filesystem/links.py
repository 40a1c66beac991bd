"""Mounts that concern symbolic links themselves (crun's src-nofollow, dest-nofollow, copy-symlink).

A link is followed everywhere else: within the root by the kernel, on the host as usual.
"""

import errno
import os
import stat

from boxship.errors import InvalidArgumentError
from boxship.kernel import KernelError
from boxship.runtime.filesystem.mounting import AttachTree
from boxship.runtime.steps import Context, Step


class AttachOverLink(AttachTree):
    """Attach a tree over a symbolic link, if there is one, and not where it leads."""

    __slots__ = ()

    def describe(self) -> str:
        return f"{super().describe()}, links not followed"

    def _place(self, context: Context, *, directory: bool) -> int:
        kernel = context.kernel
        above, _, name = self.target.rstrip("/").rpartition("/")
        parent = kernel.make_directory(context.root, above or "/")
        try:
            try:
                return kernel.open_in_root(parent, name, os.O_PATH | os.O_NOFOLLOW)
            except KernelError as error:
                if error.errno != errno.ENOENT:
                    raise
            make = kernel.make_directory if directory else kernel.make_file
            return make(parent, name)
        finally:
            kernel.close(parent)


class CopyLink(Step):
    """Make the same symbolic link as on the host; one that is there may only be equal."""

    __slots__ = ("target", "text")

    def __init__(self, target: str, text: str) -> None:
        self.target = target
        self.text = text

    def describe(self) -> str:
        return f"make link {self.target} to {self.text}"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        above, _, name = self.target.rstrip("/").rpartition("/")
        parent = kernel.make_directory(context.root, above or "/")
        try:
            kernel.make_link(parent, name, self.text)
        except KernelError as error:
            if error.errno != errno.EEXIST:
                raise
            self._compare(parent, name, error)
        finally:
            kernel.close(parent)

    def _compare(self, parent: int, name: str, cause: KernelError) -> None:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode) and os.readlink(name, dir_fd=parent) == self.text:
            return
        msg = f"cannot make the link {self.target} to {self.text}: something else is there"
        raise InvalidArgumentError(msg, hint="remove it from the image") from cause


def link_text(path: str) -> str:
    """Where a symbolic link of the host leads; empty when it is none."""
    try:
        return os.readlink(path)  # noqa: PTH115 - pathlib is slow to import
    except OSError:
        return ""
