"""Decide everything about a container's start, from its spec and what the host can do.

Pure but for looking at the layers' directories: nothing is changed, so a plan can be printed
(`--debug`) and compared (tests). `spawn` carries the parent's part out, `init` the child's.
"""

import os
import posixpath

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.kernel import abi, namespaces
from boxship.runtime import rootless
from boxship.runtime.console import MakeTerminal
from boxship.runtime.filesystem import rootfs
from boxship.runtime.filesystem.cgroupfs import MakeCgroupNamespace
from boxship.runtime.filesystem.devices import (
    BindDevice,
    LinkDevices,
    MakeDevice,
    container_devices,
)
from boxship.runtime.filesystem.mounting import (
    EnterRoot,
    IsolateMounts,
    MakeReadOnly,
    MakeRootReadOnly,
    MakeStage,
    Mask,
)
from boxship.runtime.filesystem.options import root_propagation
from boxship.runtime.process import ProcessPlan, plan_process
from boxship.runtime.settings import (
    LoopbackUp,
    MakeDirectory,
    SetDomainname,
    SetHostname,
    plan_sysctls,
)
from boxship.runtime.spec.refusals import check_ids, check_linux

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.kernel.probe import Features
    from boxship.runtime.cgroups import CgroupMount
    from boxship.runtime.filesystem.devices import Device
    from boxship.runtime.filesystem.trees import Tree
    from boxship.runtime.spawn import SpawnRequest
    from boxship.runtime.steps import Step

_JOINED_BY_PARENT = ("network", "ipc", "uts", "cgroup", "time", "pid")


class Namespaces:
    """Which namespaces a container gets.

    Attributes:
        new: OCI names of those to make.
        joined: OCI name to path of those to enter.
    """

    __slots__ = ("joined", "new")

    def __init__(self, entries: "list[dict[str, str]]") -> None:
        self.new: list[str] = []
        self.joined: dict[str, str] = {}
        for entry in entries:
            kind, path = entry.get("type", ""), entry.get("path", "")
            if kind not in namespaces.KINDS or kind in self.new or kind in self.joined:
                raise InvalidArgumentError(f"unknown or repeated namespace type {kind!r}")
            if path:
                self.joined[kind] = path
            else:
                self.new.append(kind)

    def has(self, kind: str) -> bool:
        """Whether the container is separated from the host in this respect."""
        return kind in self.new or kind in self.joined

    def flags(self) -> int:
        """Clone flags of the new ones but the cgroup's, which is made once the group is entered."""
        kinds = (kind for kind in self.new if kind != "cgroup")
        return sum(namespaces.KINDS[kind] for kind in kinds)

    def joined_by_parent(self) -> "list[tuple[str, str]]":
        """Those the parent enters for the clone: it may, whoever owns them."""
        return [(kind, self.joined[kind]) for kind in _JOINED_BY_PARENT if kind in self.joined]


class Plan:
    """What will be done.

    Attributes:
        namespaces: what the clone makes and joins.
        unprivileged: the parent has no rights over the host, so the child prepares the trees.
        uid_map: id ranges of a new user namespace.
        gid_map: the same for groups.
        oom_score: oom_score_adj, None to leave it.
        trees: mounts that the parent prepares.
        first: what the child does while its own files of /proc are open to it.
        build: what it does then, up to the hooks.
        clocks: offsets of a new time namespace that the parent makes; empty to leave it to clone.
        devices: links of the host to move, by name; to what they are called in the container.
        enter: what follows the hooks that still may change the tree: close it, and enter it.
        process: what follows inside.
        hooks: `hooks` of the spec.
    """

    __slots__ = (
        "build",
        "clocks",
        "devices",
        "enter",
        "first",
        "gid_map",
        "hooks",
        "namespaces",
        "oom_score",
        "process",
        "trees",
        "uid_map",
        "unprivileged",
    )

    def __init__(self, spec: "dict[str, Any]", process: ProcessPlan) -> None:
        linux = spec.get("linux") or {}
        self.namespaces = Namespaces(linux.get("namespaces") or [])
        self.uid_map = rootfs.id_ranges(linux.get("uidMappings"))
        self.gid_map = rootfs.id_ranges(linux.get("gidMappings"))
        if "user" in self.namespaces.new and not self.uid_map and not self.gid_map:
            # Both are optional. Root without any id would be nobody, so it is who starts it.
            self.uid_map, self.gid_map = ((0, os.geteuid(), 1),), ((0, os.getegid(), 1),)
        self.oom_score: int | None = (spec.get("process") or {}).get("oomScoreAdj")
        self.hooks: dict[str, list[dict[str, Any]]] = spec.get("hooks") or {}
        self.trees: list[Tree] = []
        self.first: list[Step] = []
        self.build: list[Step] = []
        self.enter: list[Step] = []
        self.process = process
        self.unprivileged = False
        self.clocks = ""
        self.devices: dict[str, str] = {}

    def clone_flags(self) -> int:
        """Namespaces that clone makes."""
        return self.namespaces.flags() & ~(abi.CLONE_NEWTIME if self.clocks else 0)

    @property
    def needs_two_clones(self) -> bool:
        """A pid namespace below a joined user namespace can only be made from inside it."""
        return "user" in self.namespaces.joined and "pid" in self.namespaces.new

    def describe(self) -> "list[str]":
        """The plan as lines for a person."""
        spaces = self.namespaces
        lines = [f"join {kind} namespace {path}" for kind, path in spaces.joined.items()]
        if self.clocks and not self.unprivileged:
            lines.append(f"set clocks ahead by {', '.join(self.clocks.splitlines())}")
        lines.append(f"clone with new namespaces {' '.join(spaces.new)}")
        if self.uid_map or self.gid_map:
            lines.append(f"map users {self.uid_map} groups {self.gid_map}")
        if self.oom_score is not None:
            lines.append(f"set oom_score_adj {self.oom_score}")
        lines += [f"{index}: {tree.describe()}" for index, tree in enumerate(self.trees)]
        steps = (*self.first, *self.build, *self.enter, *self.process.steps)
        lines += [step.describe() for step in steps]
        lines.append(f"execute {self.process.arguments}")
        return lines


def make_plan(
    request: "SpawnRequest",
    features: "Features",
    cgroups: "tuple[CgroupMount, ...]" = (),
    *,
    unprivileged: bool = False,
) -> Plan:
    """Plan a container's start.

    Args:
        request: the container.
        features: what the kernel can do.
        cgroups: how its control groups are shown (`Cgroup.mounts`).
        unprivileged: whoever starts it has no rights over the host.

    Raises:
        InvalidArgumentError: the spec contradicts itself or lacks what is required.
        UnsupportedError: this host cannot do it.
        OSError: a layer of the root is missing.
    """
    spec = request.spec
    process = plan_process(spec.get("process"), spec, features)
    plan = Plan(spec, process)
    _check(plan, spec, features)
    if unprivileged:
        plan.unprivileged = True
        rootless.check(plan.namespaces, spec)
    if "user" in plan.namespaces.new:
        rootless.check_owners(spec.get("mounts") or [], plan.uid_map, plan.gid_map)
        user = (spec.get("process") or {}).get("user") or {}
        check_ids(user, plan.uid_map, plan.gid_map)
    offsets = (spec.get("linux") or {}).get("timeOffsets") or {}
    if offsets:
        _plan_clocks(plan, offsets, features)
    _plan_root(plan, request, features)
    _plan_names(plan, spec)
    _plan_tree(plan, request, cgroups)
    if request.listeners:
        from boxship.runtime.listeners import AnnounceListeners  # noqa: PLC0415 - rare

        plan.process.steps.append(AnnounceListeners(request.listeners))
    label = (spec.get("linux") or {}).get("mountLabel")
    if label:
        from boxship.runtime.labels import label_mounts  # noqa: PLC0415 - rare

        label_mounts(label, plan.build, features)
    _plan_closing(plan, spec)
    _plan_entering(plan, no_pivot=request.no_pivot)
    propagation = (spec.get("linux") or {}).get("rootfsPropagation") or ""
    if propagation:
        # The root's only: other mounts have what their own entries ask for.
        plan.enter.append(IsolateMounts(root_propagation(propagation) & ~abi.MS_REC))
    return plan


def _check(plan: Plan, spec: "dict[str, Any]", features: "Features") -> None:
    spaces = plan.namespaces
    check_linux(spec.get("linux") or {})
    if not spaces.has("mount"):
        msg = "a container needs a new mount namespace"
        raise InvalidArgumentError(msg, hint='add {"type": "mount"} to linux.namespaces')
    if "mount" in spaces.joined and "user" in spaces.new:
        msg = "linux.namespaces: a new user namespace has no rights over a joined mount namespace"
        raise UnsupportedError(msg, hint="leave out the mount namespace's path, or join its owner")
    if "user" in spaces.new and not features.user_namespaces:
        msg = "this kernel has no user namespaces"
        raise UnsupportedError(msg, hint="run the container with --userns=host")
    if "user" in spaces.new and not (plan.uid_map and plan.gid_map):
        msg = "linux has uidMappings or gidMappings, but not both"
        raise InvalidArgumentError(msg, hint="give both, or neither to map the caller alone")
    if (spec.get("hostname") or spec.get("domainname")) and not spaces.has("uts"):
        raise InvalidArgumentError("hostname is set, but the container has no uts namespace")


def _plan_clocks(plan: Plan, offsets: "dict[str, Any]", features: "Features") -> None:
    from boxship.runtime.clocks import SetClocks, plan_offsets  # noqa: PLC0415 - rare

    unprivileged = plan.unprivileged
    plan.clocks = plan_offsets(offsets, plan.namespaces, features, unprivileged=unprivileged)
    if plan.clocks and unprivileged:
        plan.first.append(SetClocks(plan.clocks))


def _plan_root(plan: Plan, request: "SpawnRequest", features: "Features") -> None:
    spec = request.spec
    root = spec.get("root") or {}
    if not root.get("path") and not request.rootfs:
        raise InvalidArgumentError("the spec has no root.path")
    directory = posixpath.join(request.bundle, root.get("path") or "rootfs")
    separate = plan.namespaces.has("user")
    if separate and request.rootfs and not features.idmapped_mounts:
        msg = "this kernel cannot map the ids of an overlay (it needs 5.19)"
        raise UnsupportedError(msg, hint="run the container with --userns=host")
    word = (spec.get("linux") or {}).get("rootfsPropagation") or ""
    kind = root_propagation(word) & ~abi.MS_REC if word else 0
    if kind == abi.MS_SHARED:
        # A copy would stay in its source's peer group, and pass mounts on to the host.
        kind = abi.MS_PRIVATE
    made = rootfs.plan_root(request.rootfs, directory, mapped=separate, propagation=kind)
    plan.trees += made.trees
    if "mount" in plan.namespaces.joined:
        from boxship.runtime.filesystem.joining import JoinMounts  # noqa: PLC0415 - rare

        path = plan.namespaces.joined["mount"]
        plan.build.append(JoinMounts(path, (directory, request.bundle)))
    elif "user" not in plan.namespaces.new:
        # The copy of a mount namespace for another user namespace is cut off by the kernel.
        plan.build.append(IsolateMounts(abi.MS_SLAVE | abi.MS_REC))
    plan.build += [MakeStage(), made.step]


def _plan_names(plan: Plan, spec: "dict[str, Any]") -> None:
    spaces = plan.namespaces
    if "cgroup" in spaces.new:
        plan.build.insert(0, MakeCgroupNamespace())
    if "network" in spaces.new:
        plan.build.append(LoopbackUp())
    devices = (spec.get("linux") or {}).get("netDevices") or {}
    if devices:
        from boxship.runtime.netdevices import check_devices  # noqa: PLC0415 - rare

        plan.devices = check_devices(devices, spaces, unprivileged=plan.unprivileged)
    if spec.get("hostname"):
        plan.build.append(SetHostname(spec["hostname"]))
    if spec.get("domainname"):
        plan.build.append(SetDomainname(spec["domainname"]))
    sysctl = (spec.get("linux") or {}).get("sysctl") or {}
    named = {name.replace("/", "."): value for name, value in sysctl.items()}
    for field in ("hostname", "domainname"):
        name = spec.get(field)
        if name and named.get(f"kernel.{field}", name) != name:
            raise InvalidArgumentError(f"{field} is set, and so is linux.sysctl kernel.{field}")
    plan.build += plan_sysctls(sysctl, spaces)


def _plan_tree(plan: Plan, request: "SpawnRequest", cgroups: "tuple[CgroupMount, ...]") -> None:
    spec, spaces = request.spec, plan.namespaces
    linux = spec.get("linux") or {}
    mounts = rootfs.plan_mounts(
        spec.get("mounts") or [],
        request.bundle,
        len(plan.trees),
        cgroups,
        separate=frozenset((*spaces.new, *spaces.joined)),
    )
    plan.trees += mounts.trees
    plan.build += mounts.steps
    _plan_devices(plan, linux.get("devices") or [], binds_dev=mounts.binds_dev)
    if request.stdio.terminal:
        plan.build.append(MakeTerminal(plan.process.size, console=not mounts.binds_dev))


def _plan_closing(plan: Plan, spec: "dict[str, Any]") -> None:
    linux = spec.get("linux") or {}
    plan.enter += [MakeReadOnly(path) for path in linux.get("readonlyPaths") or ()]
    plan.enter += [Mask(path) for path in linux.get("maskedPaths") or ()]
    if plan.process.directory != "/":
        plan.enter.append(MakeDirectory(plan.process.directory))
    if (spec.get("root") or {}).get("readonly"):
        plan.enter.append(MakeRootReadOnly())


def _plan_entering(plan: Plan, *, no_pivot: bool) -> None:
    if "mount" in plan.namespaces.joined:
        from boxship.runtime.filesystem.joining import enter_joined  # noqa: PLC0415 - rare

        # What is at /proc of the other namespace is not to be trusted with them.
        plan.first += plan.process.labels
        plan.enter.append(enter_joined(no_pivot=no_pivot))
        return
    plan.enter += plan.process.labels
    if no_pivot:
        from boxship.runtime.filesystem.moving import MoveRoot  # noqa: PLC0415 - rare

        plan.enter.append(MoveRoot())
    else:
        plan.enter.append(EnterRoot())


def _plan_devices(plan: Plan, listed: "list[dict[str, Any]]", *, binds_dev: bool) -> None:
    devices = container_devices(listed)
    if binds_dev:
        # What is in the host's /dev is the host's to have.
        devices = [device for device in devices if not device.path.startswith("/dev/")]
    if not plan.namespaces.has("user"):
        plan.build += [MakeDevice(device) for device in devices]
    elif plan.unprivileged or not listed or not (plan.uid_map and plan.gid_map):
        plan.build += [_bound(device) for device in devices]
    else:
        from boxship.runtime.filesystem.nodes import BindNodes, NodeTree  # noqa: PLC0415 - rare

        own = {device.path for device in container_devices([])}
        own -= {device.path for device in container_devices(listed, defaults=False)}
        plan.build += [_bound(device) for device in devices if device.path in own or device.is_fifo]
        nodes = [device for device in devices if device.path not in own and not device.is_fifo]
        if nodes:
            plan.build.append(BindNodes(len(plan.trees), nodes))
            plan.trees.append(NodeTree(nodes, plan.uid_map, plan.gid_map))
    if not binds_dev:
        plan.build.append(LinkDevices())


def _bound(device: "Device") -> "Step":
    """How a device gets into a user namespace; everybody may make a FIFO."""
    return MakeDevice(device) if device.is_fifo else BindDevice(device)
