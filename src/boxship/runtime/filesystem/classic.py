"""New file systems by mount(2), for what the newer calls have no way to say.

fsconfig(2) takes values of up to 255 bytes, and has no words for some flags of the file system.
"""

import errno

from boxship.kernel import KernelError, abi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.runtime.filesystem.mounting import Parameters
    from boxship.runtime.steps import Context

_NAME = "aside"
_FLAGS = (
    (abi.MOUNT_ATTR_NODIRATIME, abi.MS_NODIRATIME),
    (abi.MOUNT_ATTR_NOSYMFOLLOW, abi.MS_NOSYMFOLLOW),
    (abi.MOUNT_ATTR_RDONLY, abi.MS_RDONLY),
    (abi.MOUNT_ATTR_NOSUID, abi.MS_NOSUID),
    (abi.MOUNT_ATTR_NODEV, abi.MS_NODEV),
    (abi.MOUNT_ATTR_NOEXEC, abi.MS_NOEXEC),
)
# What SELinux takes out of the options, quotes and all.
_CONTEXTS = ("context", "fscontext", "defcontext", "rootcontext")
# The access time's is a field of its bits, not one bit each.
_ATIME = {
    abi.MOUNT_ATTR_NOATIME: abi.MS_NOATIME,
    abi.MOUNT_ATTR_STRICTATIME: abi.MS_STRICTATIME,
}


def mount_aside(
    context: "Context",
    kind: str,
    source: str,
    data: "Parameters",
    attributes: int,
    flags: int,
) -> int:
    """A descriptor of a new mount that lies in the stage, from where it can be moved.

    mount(2) takes a path, and nobody but this process sees those of the stage, its working
    directory.

    Args:
        context: of the process.
        kind: type of the file system.
        source: device or name.
        data: its parameters.
        attributes: MOUNT_ATTR_*.
        flags: MS_* of the file system.
    """
    kernel = context.kernel
    try:
        kernel.make_subdirectory(context.stage, _NAME, 0o755)
    except KernelError as error:
        if error.errno != errno.EEXIST:
            raise
    for attribute, flag in _FLAGS:
        if attributes & attribute:
            flags |= flag
    flags |= _ATIME.get(attributes & abi.MOUNT_ATTR__ATIME, 0)
    kernel.mount(source, _NAME, kind, flags, ",".join(_word(*pair) for pair in data))
    return kernel.open_tree(context.stage, _NAME, 0)


def _word(key: str, value: "str | None") -> str:
    if value is None:
        return key
    if key in _CONTEXTS and "," in value and not value.startswith('"'):
        # A level lists its categories (s0:c1,c2); mount(8), "FILESYSTEM-INDEPENDENT MOUNT OPTIONS".
        value = f'"{value}"'
    return f"{key}={value}"
