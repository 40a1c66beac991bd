"""Device nodes for a user namespace, in which none can be made: the parent makes them.

It puts them into a tmpfs of their own, with the owners and modes that the document asks for. The
child, which may not make them, only binds them. Where the parent has no right to either, the host's
nodes are bound, as the host has them (`boxship.runtime.filesystem.devices`).
"""

import os

from boxship.errors import InvalidArgumentError
from boxship.kernel import abi
from boxship.runtime.filesystem.devices import Device, bind_node, place
from boxship.runtime.filesystem.mounting import make_filesystem
from boxship.runtime.filesystem.options import MountOptions
from boxship.runtime.filesystem.trees import Tree
from boxship.runtime.rootless import host_id
from boxship.runtime.steps import Context, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.kernel.api import Kernel

    IdRanges = tuple[tuple[int, int, int], ...]

_NAME = "devices"


class NodeTree(Tree):
    """A tmpfs with device nodes, named by their numbers in a list."""

    __slots__ = ("_devices", "_owners")

    def __init__(self, devices: "list[Device]", uid_map: "IdRanges", gid_map: "IdRanges") -> None:
        """Look the owners' ids on the host up.

        Raises:
            InvalidArgumentError: the user namespace has no such id.
        """
        super().__init__("devices", MountOptions())
        self._devices = devices
        self._owners = [
            (_outside(device, device.uid, uid_map), _outside(device, device.gid, gid_map))
            for device in devices
        ]

    def describe(self) -> str:
        return f"make {len(self._devices)} device nodes"

    def clone(self, kernel: "Kernel", userns: int) -> int:
        del userns
        attributes = abi.MOUNT_ATTR_NOSUID | abi.MOUNT_ATTR_NOEXEC
        tree = make_filesystem(kernel, "tmpfs", "tmpfs", [("mode", "0755")], attributes)
        try:
            for number, (device, owner) in enumerate(zip(self._devices, self._owners, strict=True)):
                kernel.make_node(tree, str(number), device.mode, device.number, owner)
        except BaseException:
            kernel.close(tree)
            raise
        return tree


def _outside(device: Device, wanted: int, ranges: "IdRanges") -> int:
    found = host_id(ranges, wanted)
    if found < 0:
        msg = f"cannot make device {device.path}: its owner {wanted} is not mapped"
        raise InvalidArgumentError(msg, hint="change uid and gid of the device, or map them")
    return found


class BindNodes(Step):
    """Bind the nodes that the parent has made."""

    __slots__ = ("devices", "tree")

    def __init__(self, tree: int, devices: "list[Device]") -> None:
        self.tree = tree
        self.devices = devices

    def describe(self) -> str:
        return f"bind devices {' '.join(device.path for device in self.devices)}"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        kernel.make_subdirectory(context.stage, _NAME, 0o700)
        kernel.move_mount(context.trees[self.tree], context.stage, _NAME)
        directory = kernel.open_in_root(context.stage, _NAME, os.O_PATH | os.O_DIRECTORY)
        for number, device in enumerate(self.devices):
            target = place(context, device)
            if target >= 0:
                bind_node(context, directory, str(number), target)
        kernel.close(directory)
