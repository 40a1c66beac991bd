"""Decide how a container's file tree is built: which trees the parent makes, which steps follow."""

import os
import posixpath

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.runtime.filesystem.cgroupfs import MountCgroups
from boxship.runtime.filesystem.mounting import (
    AttachRoot,
    AttachTree,
    MountFilesystem,
    MountOverlay,
)
from boxship.runtime.filesystem.options import MountOptions, parse
from boxship.runtime.filesystem.trees import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.runtime.cgroups import CgroupMount
    from boxship.runtime.spawn import RootMount
    from boxship.runtime.steps import Step


# Whose processes or queues a file system shows: the host's would be those of others.
_NAMESPACES = {"proc": "pid", "mqueue": "ipc"}


class Layers:
    """An overlay's directories.

    Attributes:
        lower: top first.
        upper: empty for a read-only overlay.
        work: empty for a read-only overlay.
        rest: the other options.
        base: directory that holds all of them on one mount; empty when there is none.
    """

    __slots__ = ("base", "lower", "rest", "upper", "work")

    def __init__(self, options: "tuple[str, ...]") -> None:
        self.lower: list[str] = []
        self.upper = ""
        self.work = ""
        self.rest: list[str] = []
        for option in options:
            key, _, value = option.partition("=")
            if key == "lowerdir":
                self.lower = value.split(":")
            elif key == "upperdir":
                self.upper = value
            elif key == "workdir":
                self.work = value
            elif option not in ("ro", "rw"):
                self.rest.append(option)
        self.base = _common_base([*self.lower, *filter(None, (self.upper, self.work))])

    def data(self, names: "dict[str, str]") -> str:
        """The mount's options with other names for the directories."""
        parts = ["lowerdir=" + ":".join(names[path] for path in self.lower)]
        if self.upper:
            parts += [f"upperdir={names[self.upper]}", f"workdir={names[self.work]}"]
        return ",".join((*parts, *self.rest))


def _common_base(paths: "list[str]") -> str:
    base = posixpath.commonpath(paths) if len(paths) > 1 else posixpath.dirname(paths[0])
    if base == "/":
        return ""
    # A mount in between would be missing in a copy of the base.
    devices = {os.stat(path).st_dev for path in (base, *paths)}  # noqa: PTH116 - slow to import
    return base if len(devices) == 1 else ""


class RootPlan:
    """How the root is mounted.

    Attributes:
        trees: what the parent prepares.
        step: what the child does with it.
    """

    __slots__ = ("step", "trees")

    def __init__(self, trees: "list[Tree]", step: "Step") -> None:
        self.trees = trees
        self.step = step


def plan_root(
    mounts: "tuple[RootMount, ...]", directory: str, *, mapped: bool, propagation: int = 0
) -> RootPlan:
    """Plan the root file system.

    Args:
        mounts: from the store; at most one, empty to take the directory as it is.
        directory: `root.path` of the bundle, absolute.
        mapped: the container has a user namespace, and ids are to be mapped for it.
        propagation: MS_* kind the root shall keep, 0 for private.

    Raises:
        InvalidArgumentError: a kind of mount the root cannot be made of.
        OSError: a layer is missing.
    """
    if len(mounts) > 1:
        raise InvalidArgumentError("the root file system must be one mount")
    if mounts and mounts[0].type == "overlay":
        return _plan_overlay(mounts[0], mapped=mapped)
    if mounts and mounts[0].type != "bind":
        raise InvalidArgumentError(f"the root file system cannot be a {mounts[0].type} mount")
    source = mounts[0].source if mounts else directory
    options = parse(mounts[0].options if mounts else ())
    options.recursive = True
    options.idmap = mapped and (options.idmap or bool(mounts))
    options.propagation = options.propagation or propagation
    options.propagation_below = True
    return RootPlan([Tree(source, options, strict=True)], AttachRoot(0))


def _plan_overlay(mount: "RootMount", *, mapped: bool) -> RootPlan:
    layers = Layers(mount.options)
    if not layers.lower:
        raise InvalidArgumentError("an overlay root needs a lowerdir")
    read_only = not layers.upper or "ro" in mount.options
    paths = [*layers.lower, *filter(None, (layers.upper, layers.work))]
    if layers.base:
        sources = {layers.base: "l"}
    else:
        # Upper and work must be on one mount, so their common directory is copied.
        sources = {path: f"l{index}" for index, path in enumerate(layers.lower)}
        if layers.upper:
            sources[posixpath.commonpath((layers.upper, layers.work))] = "u"
    names = {path: _renamed(path, sources) for path in paths}
    step = MountOverlay(layers.data(names), tuple(sources.values()), read_only=read_only)
    return RootPlan([Tree(source, _mapped(mapped), strict=True) for source in sources], step)


def _mapped(mapped: bool) -> MountOptions:
    options = MountOptions()
    options.idmap = mapped
    return options


def _renamed(path: str, sources: "dict[str, str]") -> str:
    if path in sources:
        return sources[path]
    base = max((s for s in sources if path.startswith(f"{s}/")), key=len)
    return f"{sources[base]}{path[len(base) :]}"


class MountPlan:
    """The mounts of `mounts` in the spec: trees for the parent and steps for the child.

    Attributes:
        trees: what the parent prepares, numbered on from the root's.
        steps: what the child does, in the spec's order.
        binds_dev: /dev comes from the host, so nothing is made in it.
    """

    __slots__ = ("binds_dev", "steps", "trees")

    def __init__(self) -> None:
        self.trees: list[Tree] = []
        self.steps: list[Step] = []
        self.binds_dev = False


def plan_mounts(
    entries: "list[dict[str, Any]]",
    bundle: str,
    first: int,
    cgroups: "tuple[CgroupMount, ...]",
    *,
    separate: "frozenset[str]",
) -> MountPlan:
    """Plan the mounts of a spec.

    Args:
        entries: `mounts` of the spec.
        bundle: relative sources start here.
        first: number of the first tree.
        cgroups: what the cgroup mount, if there is one, consists of.
        separate: OCI names of the namespaces in which the container is not with the host.

    Raises:
        InvalidArgumentError: an entry contradicts itself or lacks what it needs.
        UnsupportedError: an entry asks for what cannot be done.
    """
    plan = MountPlan()
    for entry in entries:
        target = entry.get("destination") or ""
        if not target:
            raise InvalidArgumentError("a mount has no destination")
        target = posixpath.join("/", target)
        kind, options = entry.get("type") or "", parse(entry.get("options") or ())
        if options.remount:
            from boxship.runtime.filesystem.remount import Remount  # noqa: PLC0415 - rare

            plan.steps.append(Remount(target, options))
        elif options.bind or kind == "bind":
            plan.binds_dev = plan.binds_dev or target.rstrip("/") == "/dev"
            _plan_bind(plan, entry, options, bundle, target, first)
        else:
            _check_filesystem(entry, target, options)
            plan.steps += _filesystem(entry, options, target, cgroups, separate)
    return plan


def _plan_bind(
    plan: MountPlan,
    entry: "dict[str, Any]",
    options: MountOptions,
    bundle: str,
    target: str,
    first: int,
) -> None:
    if not entry.get("source"):
        raise InvalidArgumentError(f"the bind mount at {target} has no source")
    source = posixpath.join(bundle, entry["source"])
    attach = AttachTree
    if options.source_link or options.target_link or options.copy_link:
        from boxship.runtime.filesystem import links  # noqa: PLC0415 - rare

        text = links.link_text(source) if options.copy_link else ""
        if text:
            plan.steps.append(links.CopyLink(target, text))
            return
        attach = links.AttachOverLink if options.target_link else AttachTree
    tree = _bind(entry, options, source, target)
    proc = posixpath.normpath(source) == "/proc"
    plan.steps.append(attach(first + len(plan.trees), source, target, proc=proc))
    plan.trees.append(tree)


def _bind(entry: "dict[str, Any]", options: MountOptions, source: str, target: str) -> Tree:
    uid_map, gid_map = id_ranges(entry.get("uidMappings")), id_ranges(entry.get("gidMappings"))
    if bool(uid_map) != bool(gid_map):
        given, missing = ("uidMappings", "gidMappings")[:: 1 if uid_map else -1]
        msg = f"the mount at {target} has {given} but no {missing}"
        raise InvalidArgumentError(msg, hint="give both, or neither")
    options.idmap = options.idmap or bool(uid_map)
    strict = options.idmap_needed or bool(uid_map)
    return Tree(source, options, strict=strict, uid_map=uid_map, gid_map=gid_map)


def _check_filesystem(entry: "dict[str, Any]", target: str, options: MountOptions) -> None:
    """Refuse what only a bind mount, or only a tmpfs, can have."""
    kind = entry.get("type") or ""
    if kind in ("", "none"):
        msg = f"the mount at {target} has no type"
        raise InvalidArgumentError(msg, hint="give a type, or the option bind or rbind")
    if options.idmap or entry.get("uidMappings") or entry.get("gidMappings"):
        msg = f"cannot map the ids of the {kind} mount at {target}: only bind mounts can be"
        raise UnsupportedError(msg, hint="leave idmap and the mappings out")
    if options.source_link or options.target_link or options.copy_link:
        msg = f"the {kind} mount at {target} cannot be about a symbolic link"
        raise InvalidArgumentError(msg, hint="src-, dest-nofollow and copy-symlink need bind")
    if options.copy_up and kind != "tmpfs":
        msg = f"cannot copy what the {kind} mount at {target} hides into it"
        raise InvalidArgumentError(msg, hint="tmpcopyup is for mounts of type tmpfs")
    if options.copy_up and not target.strip("/"):
        msg = "cannot copy the root into a tmpfs over itself"
        raise InvalidArgumentError(msg, hint="leave tmpcopyup out, or mount it elsewhere")


def _filesystem(
    entry: "dict[str, Any]",
    options: MountOptions,
    target: str,
    cgroups: "tuple[CgroupMount, ...]",
    separate: "frozenset[str]",
) -> "list[Step]":
    kind = entry["type"]
    if kind == "cgroup" or (kind == "cgroup2" and cgroups):
        if not cgroups:
            return []
        return [_cgroups(options, target, cgroups, namespaced="cgroup" in separate)]
    source = entry.get("source") or kind
    copyable = _NAMESPACES.get(kind) not in separate
    return [MountFilesystem(kind, source, target, options, copyable=copyable)]


def _cgroups(
    options: MountOptions, target: str, cgroups: "tuple[CgroupMount, ...]", *, namespaced: bool
) -> MountCgroups:
    if options.data and not (namespaced and cgroups[0].type == "cgroup2"):
        msg = f"cannot mount control groups at {target} with option {options.data[0][0]!r}"
        hint = "only a new mount of version 2 takes some, which needs a cgroup namespace"
        raise UnsupportedError(msg, hint=hint)
    attributes = options.set | options.set_below
    return MountCgroups(target, cgroups, attributes, namespaced=namespaced, data=options.data)


def id_ranges(mappings: "list[dict[str, int]] | None") -> "tuple[tuple[int, int, int], ...]":
    """OCI id mappings as triples of inside, outside, count."""
    return tuple((m["containerID"], m["hostID"], m["size"]) for m in mappings or ())
