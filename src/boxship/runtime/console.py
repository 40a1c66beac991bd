"""The child's side of standard input and output: a pseudo terminal, or descriptors handed in."""

import errno
import os
import stat

from boxship.kernel import KernelError, abi
from boxship.runtime.steps import Context, Step


class MakeTerminal(Step):
    """Make a pseudo terminal on the container's own devpts and show it as /dev/console."""

    __slots__ = ("console", "size")

    def __init__(self, size: tuple[int, int], *, console: bool) -> None:
        self.size = size
        self.console = console

    def describe(self) -> str:
        rows, columns = self.size
        shown = " as /dev/console" if self.console else ""
        return f"make a terminal of {rows}x{columns}{shown}"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        flags = os.O_RDWR | os.O_NOCTTY
        context.master = kernel.open_in_root(context.root, "/dev/pts/ptmx", flags)
        kernel.unlock_terminal(context.master)
        context.terminal = kernel.open_peer(context.master)
        if self.size != (0, 0):
            kernel.set_terminal_size(context.master, *self.size)
        if self.console:
            self._show(context)

    def _show(self, context: Context) -> None:
        # By descriptor: a path under /dev/pts could be swapped (CVE-2025-52565).
        kernel = context.kernel
        tree = kernel.open_tree(context.terminal, "", abi.OPEN_TREE_CLONE)
        target = kernel.make_file(context.root, "/dev/console")
        kernel.move_mount(tree, target)
        kernel.close(target)
        kernel.close(tree)


class UseTerminal(Step):
    """Make the terminal the session's and standard input, output and error."""

    __slots__ = ()

    def describe(self) -> str:
        return "use the terminal for stdio"

    def execute(self, context: Context) -> None:
        if context.leader:
            context.kernel.set_controlling_terminal(context.terminal)
        for number in range(3):
            os.dup2(context.terminal, number)
        os.close(context.terminal)
        context.terminal = 0


class OwnStdio(Step):
    """Let the program's user open /dev/stdout and its like again: the pipes become its own."""

    __slots__ = ()

    def describe(self) -> str:
        return "give stdio to the user"

    def execute(self, context: Context) -> None:
        uid = 0 if context.identity is None else context.identity.uid
        group = 0 if context.identity is None else context.identity.gid
        for number in range(3):
            try:
                found = os.fstat(number)
                if found.st_uid == uid or stat.S_ISREG(found.st_mode) or _is_shared(found):
                    continue
                # A terminal stays the group's that may write to everybody's.
                os.fchown(number, uid, group if stat.S_ISFIFO(found.st_mode) else found.st_gid)
            except OSError as error:
                # The owner may have no id in the user namespace; closed descriptors are fine too.
                if error.errno not in (errno.EPERM, errno.EINVAL, errno.EROFS, errno.EBADF):
                    raise KernelError(error.errno or 0, "fchown", str(number)) from error


def _is_shared(found: os.stat_result) -> bool:
    """A device other than a terminal of a pty: /dev/null is everybody's."""
    return stat.S_ISCHR(found.st_mode) and not 136 <= os.major(found.st_rdev) <= 143


def place_stdio(fds: tuple[int, int, int]) -> None:
    """Make descriptors the standard ones, whatever their numbers are."""
    if fds == (0, 1, 2):
        return
    moved = [os.dup(fd) for fd in fds] if any(fd < 3 for fd in fds) else list(fds)
    for number, fd in enumerate(moved):
        os.dup2(fd, number)
    if moved != list(fds):
        for fd in moved:
            os.close(fd)
