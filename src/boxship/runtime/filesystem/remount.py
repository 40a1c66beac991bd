"""The `remount` mount option: change a mount that an earlier entry, or the root, has made."""

import os

from boxship.errors import UnsupportedError
from boxship.kernel import abi
from boxship.runtime.steps import Context, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.runtime.filesystem.options import MountOptions

# MS_* flag: words to set and to clear it by in fsconfig(2); dirsync cannot be cleared.
_WORDS = (
    (abi.MS_SYNCHRONOUS, "sync", "async"),
    (abi.MS_DIRSYNC, "dirsync", ""),
    (abi.MS_LAZYTIME, "lazytime", "nolazytime"),
    (abi.MS_MANDLOCK, "mand", "nomand"),
)


class Remount(Step):
    """Change the attributes of a mount, and with `remount` but no `bind` its file system's too.

    As mount(8) has it, what no word names stays as it is.
    """

    __slots__ = ("options", "target")

    def __init__(self, target: str, options: "MountOptions") -> None:
        """Check that it can be done.

        Raises:
            UnsupportedError: the kernel cannot change the i_version flag without all the others.
        """
        if options.flags & abi.MS_I_VERSION:
            raise UnsupportedError(
                f"cannot remount {target} with iversion",
                hint="give it to the mount itself; remounted it stays as it is",
            )
        self.target = target
        self.options = options

    def describe(self) -> str:
        options = self.options
        words = [key if value is None else f"{key}={value}" for key, value in self._parameters()]
        return f"remount {self.target} ({options.set:#x}, {options.clear:#x} {','.join(words)})"

    def execute(self, context: Context) -> None:
        kernel, options = context.kernel, self.options
        mount = kernel.open_in_root(context.root, self.target, os.O_PATH)
        try:
            parameters = self._parameters()
            if parameters:
                self._reconfigure(context, mount, parameters)
            if options.set_below or options.clear_below:
                kernel.mount_setattr(
                    mount, set_=options.set_below, clear=options.clear_below, recursive=True
                )
            if options.set or options.clear:
                kernel.mount_setattr(mount, set_=options.set, clear=options.clear)
            if options.propagation:
                kernel.mount_setattr(
                    mount, propagation=options.propagation, recursive=options.propagation_below
                )
        finally:
            kernel.close(mount)

    def _parameters(self) -> "list[tuple[str, str | None]]":
        options = self.options
        if options.bind:
            return []
        words = [on for flag, on, _ in _WORDS if options.flags & flag]
        words += [off for flag, _, off in _WORDS if off and options.cleared & flag]
        if options.set & abi.MOUNT_ATTR_RDONLY:
            words.append("ro")
        elif options.clear & abi.MOUNT_ATTR_RDONLY:
            words.append("rw")
        return [*((word, None) for word in words), *options.data]

    def _reconfigure(
        self, context: Context, mount: int, parameters: "list[tuple[str, str | None]]"
    ) -> None:
        kernel = context.kernel
        change = kernel.fspick(mount)
        try:
            for key, value in parameters:
                kernel.fsconfig(change, key, value)
            kernel.fsreconfigure(change)
        finally:
            kernel.close(change)
