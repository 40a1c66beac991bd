"""The OCI runtime document of a container, with the defaults that Docker's users expect.

The parts that Docker's own documents do not have are extensions of our runtime: `process.init`,
`process.user.username` and `process.user.additionalGroupNames` (see `boxship.runtime.plan`).
"""

import glob
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from boxship.errors import InvalidArgumentError, NotFoundError
from boxship.kernel import capabilities
from boxship.model.container import DeviceRequest, Ulimit
from boxship.model.mount import Mount
from boxship.runtime.filesystem.host_devices import DeviceEntry, every_device, find_devices
from boxship.runtime.spec.seccomp_profile import default_profile, resolve_profile

# The oldest that has all we write: external runtimes refuse what is newer than they are.
_OCI_VERSION = "1.0.2"

DEFAULT_CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
)
DEFAULT_SHM_SIZE = 64 << 20
USER_NAMESPACE_SIZE = 65536

_MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
# How hot a core runs tells what its neighbour computes.
_MASKED_PATTERN = "/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle"
_READONLY_PATHS = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)

# RLIM_INFINITY; the specification's limits are unsigned.
_UNLIMITED = 2**64 - 1
_LOCKED = ("nosuid", "noexec", "nodev")
_NAMESPACES = ("mount", "uts", "ipc", "pid", "network", "cgroup")
# Of these a read-only container still has writable ones.
_SHM = "/dev/shm"  # noqa: S108 - no file
_KEPT_WRITABLE = ("/proc", "/dev", "/dev/pts", _SHM, "/dev/mqueue")

_NO_DEVICES = {"allow": False, "access": "rwm"}
_ALL_DEVICES = {"allow": True, "access": "rwm"}
_CONSOLE = {"allow": True, "type": "c", "major": 5, "minor": 1, "access": "rwm"}


class SpecOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a container is to be; every default is Docker's.

    Attributes:
        argv: program and arguments.
        env: `NAME=value`; nothing is added (HOME is, by the runtime, where it is missing).
        cwd: working directory, absolute.
        user: `user[:group]`, names or numbers, resolved inside the image; empty for root.
        groups: further groups, names or numbers.
        tty: give the process a terminal.
        console_size: rows and columns, 0 for unknown.
        init: run the program below a reaper.
        mounts: what the caller mounts; one at the place of a default replaces it.
        cap_add: `ALL` or names with or without CAP_; likewise cap_drop.
        privileged: all capabilities and devices, no masks, writable /sys, no seccomp filter.
        read_only: root file system.
        resources: OCI `linux.resources` without devices.
        device_rules: as `--device-cgroup-rule` takes them (`c 42:* rwm`).
        namespaces: kind (`pid`, `network`, `ipc`, `uts`, `cgroup`, `user`) to `host` or a path to
            join; what is not named is new.
        cgroup: OCI `linux.cgroupsPath`.
        seccomp: `default`, `unconfined`, or the text of a JSON profile.
        sysctls: kernel parameters beside the defaults.
        shm_size: bytes of /dev/shm; 0 for the default.
        masked_paths: None for the default, as for readonly_paths.
        user_base: first host id of the user namespace; 0 for none.
    """

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    user: str = ""
    groups: tuple[str, ...] = ()
    tty: bool = False
    console_size: tuple[int, int] = (0, 0)
    init: bool = False
    hostname: str = ""
    domainname: str = ""
    mounts: tuple[Mount, ...] = ()
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    privileged: bool = False
    no_new_privileges: bool = False
    read_only: bool = False
    resources: dict[str, Any] = {}
    rlimits: tuple[Ulimit, ...] = ()
    devices: tuple[DeviceRequest, ...] = ()
    device_rules: tuple[str, ...] = ()
    namespaces: dict[str, str] = {}
    cgroup: str = ""
    seccomp: str = "default"
    sysctls: dict[str, str] = {}
    shm_size: int = 0
    oom_score_adj: int | None = None
    masked_paths: tuple[str, ...] | None = None
    readonly_paths: tuple[str, ...] | None = None
    user_base: int = 0
    annotations: dict[str, str] = {}
    root: str = "rootfs"


def generate_spec(options: SpecOptions) -> dict[str, Any]:
    """The document; the caller may change it.

    Raises:
        InvalidArgumentError: a capability, device rule, limit or seccomp profile means nothing.
        NotFoundError: a device does not exist.
    """
    granted = granted_capabilities(options.cap_add, options.cap_drop, privileged=options.privileged)
    spec: dict[str, Any] = {
        "ociVersion": _OCI_VERSION,
        "process": _process(options, granted),
        "root": {"path": options.root, "readonly": options.read_only},
        "mounts": _mounts(options),
        "linux": _linux(options, granted),
    }
    if _is_new(options, "uts"):
        names = {"hostname": options.hostname, "domainname": options.domainname}
        spec.update({key: value for key, value in names.items() if value})
    if options.annotations:
        spec["annotations"] = dict(options.annotations)
    return spec


def granted_capabilities(
    add: tuple[str, ...], drop: tuple[str, ...], *, privileged: bool = False
) -> tuple[str, ...]:
    """The names a container gets from the default, what is added and what is dropped.

    What is both added and dropped is added; `ALL` stands for every one this kernel knows.

    Raises:
        InvalidArgumentError: a name is unknown.
    """
    every = capabilities.NAMES[: capabilities.last_capability() + 1]
    if privileged:
        return every
    added, dropped = _named(add, "CapAdd"), _named(drop, "CapDrop")
    if "CAP_ALL" in dropped:
        kept = set(added) - {"CAP_ALL"}
    elif "CAP_ALL" in added:
        kept = set(every) - set(dropped)
    else:
        kept = (set(DEFAULT_CAPABILITIES) - set(dropped)) | set(added)
    return tuple(name for name in every if name in kept)


def _named(names: tuple[str, ...], option: str) -> list[str]:
    found = [capabilities.canonical(name) for name in names]
    for name in found:
        if name != "CAP_ALL" and name not in capabilities.NAMES:
            raise InvalidArgumentError(f'invalid {option}: unknown capability: "{name}"')
    return found


def _process(options: SpecOptions, granted: tuple[str, ...]) -> dict[str, Any]:
    # Without a user it is root, with the groups that the image gives to root.
    user: dict[str, Any] = {"uid": 0, "gid": 0, "umask": 0o022, "username": options.user or "0"}
    if options.groups:
        user["additionalGroupNames"] = list(options.groups)
    process: dict[str, Any] = {
        "terminal": options.tty,
        "user": user,
        "args": list(options.argv),
        "env": list(options.env),
        "cwd": options.cwd or "/",
        # execve gives root's program what is bounding, and anyone else's nothing: the inheritable
        # set stays empty (CVE-2022-24769).
        "capabilities": {kind: list(granted) for kind in ("bounding", "effective", "permitted")},
        "noNewPrivileges": options.no_new_privileges,
    }
    rows, columns = options.console_size
    if options.tty and rows and columns:
        process["consoleSize"] = {"height": rows, "width": columns}
    if options.rlimits:
        process["rlimits"] = [_rlimit(limit) for limit in options.rlimits]
    if options.oom_score_adj is not None:
        process["oomScoreAdj"] = options.oom_score_adj
    if options.init:
        process["init"] = True
    return process


def _rlimit(limit: Ulimit) -> dict[str, Any]:
    name = limit.name.upper().removeprefix("RLIMIT_")
    if limit.hard != -1 and (limit.soft == -1 or limit.soft > limit.hard):
        raise InvalidArgumentError(
            f"ulimit {limit.name}: the soft limit {limit.soft} is above the hard limit {limit.hard}"
        )
    soft, hard = (_UNLIMITED if value == -1 else value for value in (limit.soft, limit.hard))
    return {"type": f"RLIMIT_{name}", "soft": soft, "hard": hard}


def _mounts(options: SpecOptions) -> list[dict[str, Any]]:
    """The defaults, then the caller's, outer ones first."""
    taken = {_normal(mount.target) for mount in options.mounts}
    below_dev = "/dev" in taken
    mounts = [
        _mount(mount, options)
        for mount in _default_mounts(options)
        if mount.target not in taken and not (below_dev and mount.target.startswith("/dev/"))
    ]
    ordered = sorted(options.mounts, key=lambda mount: _normal(mount.target).count("/"))
    mounts += [_entry(mount.type, mount.source, mount.target, mount.options) for mount in ordered]
    return mounts


def _normal(target: str) -> str:
    return "/" + "/".join(part for part in target.split("/") if part not in ("", "."))


def _default_mounts(options: SpecOptions) -> tuple[Mount, ...]:
    shm_size = options.shm_size or DEFAULT_SHM_SIZE
    read = () if options.privileged else ("ro",)
    mounts = [
        Mount("proc", "proc", "/proc", _LOCKED),
        Mount("tmpfs", "tmpfs", "/dev", ("nosuid", "strictatime", "mode=755", "size=65536k")),
        Mount(
            "devpts",
            "devpts",
            "/dev/pts",
            ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        ),
        Mount("sysfs", "sysfs", "/sys", (*_LOCKED, *read)),
        Mount("cgroup", "cgroup", "/sys/fs/cgroup", (*_LOCKED, *read)),
    ]
    # A new mount shows the queues of the IPC namespace it is made in, be it the host's.
    mounts.append(Mount("mqueue", "mqueue", "/dev/mqueue", _LOCKED))
    mounts.append(_shared_memory(options.namespaces.get("ipc", ""), f"size={shm_size}"))
    return tuple(mounts)


def _shared_memory(ipc: str, size: str) -> Mount:
    """What POSIX shared memory lies in goes with the IPC namespace: new, the host's, another's."""
    if not ipc:
        return Mount("tmpfs", "shm", _SHM, (*_LOCKED, "mode=1777", size))
    source = _SHM if ipc == "host" else ipc.removesuffix("/ns/ipc") + f"/root{_SHM}"
    return Mount("bind", source, _SHM, ("rbind", *_LOCKED))


def _mount(mount: Mount, options: SpecOptions) -> dict[str, Any]:
    words = mount.options
    if options.read_only and mount.target not in _KEPT_WRITABLE and "ro" not in words:
        words = (*words, "ro")
    return _entry(mount.type, mount.source, mount.target, words)


def _entry(kind: str, source: str, target: str, words: tuple[str, ...]) -> dict[str, Any]:
    return {"type": kind, "source": source, "destination": target, "options": list(words)}


def _linux(options: SpecOptions, granted: tuple[str, ...]) -> dict[str, Any]:
    nodes, rules = _devices(options)
    linux: dict[str, Any] = {
        "namespaces": _namespaces(options),
        "resources": {**options.resources, "devices": rules},
        "maskedPaths": _paths(options.masked_paths, default_masked_paths(), options),
        "readonlyPaths": _paths(options.readonly_paths, _READONLY_PATHS, options),
    }
    if options.cgroup:
        linux["cgroupsPath"] = options.cgroup
    if options.user_base and options.namespaces.get("user") != "host":
        mapping = {
            "containerID": 0,
            "hostID": options.user_base,
            "size": USER_NAMESPACE_SIZE,
        }
        linux["uidMappings"] = [mapping]
        linux["gidMappings"] = [dict(mapping)]
    if nodes:
        linux["devices"] = [node.oci() for node in nodes]
    sysctls = _sysctls(options)
    if sysctls:
        linux["sysctl"] = sysctls
    seccomp = _seccomp(options, granted)
    if seccomp is not None:
        linux["seccomp"] = seccomp
    propagation = _root_propagation(options.mounts)
    if propagation:
        linux["rootfsPropagation"] = propagation
    return linux


@cache
def default_masked_paths() -> tuple[str, ...]:
    """What is hidden of /proc and /sys on this host."""
    return (*_MASKED_PATHS, *sorted(glob.glob(_MASKED_PATTERN)))  # noqa: PTH207 - absolute pattern


def _paths(
    given: tuple[str, ...] | None, default: tuple[str, ...], options: SpecOptions
) -> list[str]:
    if options.privileged:
        return []
    return list(default if given is None else given)


def _is_new(options: SpecOptions, kind: str) -> bool:
    return not options.namespaces.get(kind)


def _namespaces(options: SpecOptions) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    kinds = (*_NAMESPACES, "user") if options.user_base else _NAMESPACES
    for kind in kinds:
        choice = options.namespaces.get(kind, "")
        if choice == "host":
            continue
        found.append({"type": kind, "path": choice} if choice else {"type": kind})
    return found


def _devices(options: SpecOptions) -> tuple[list[DeviceEntry], list[dict[str, Any]]]:
    """The device nodes to make, and what may be done with devices."""
    if options.privileged:
        nodes = {node.path: node for node in every_device()}
        for request in options.devices:
            nodes.update((node.path, node) for node in _requested(request))
        return list(nodes.values()), [dict(_ALL_DEVICES)]
    found: list[DeviceEntry] = []
    rules = [dict(_NO_DEVICES), dict(_CONSOLE)]
    for request in options.devices:
        nodes_of_request = _requested(request)
        found += nodes_of_request
        rules += [node.rule(request.permissions) for node in nodes_of_request]
    rules += [parse_device_rule(rule) for rule in options.device_rules]
    return found, rules


def _requested(request: DeviceRequest) -> list[DeviceEntry]:
    if set(request.permissions) - set("rwm"):
        raise InvalidArgumentError(f"invalid device mode: {request.permissions}")
    try:
        return find_devices(request.host_path, request.container_path or request.host_path)
    except OSError as failure:
        raise NotFoundError(
            "error gathering device information while adding custom device "
            f'"{request.host_path}": {(failure.strerror or "").lower()}'
        ) from failure


def parse_device_rule(text: str) -> dict[str, Any]:
    """A `--device-cgroup-rule` as an entry of OCI `resources.devices`.

    Raises:
        InvalidArgumentError: it is not of the form `c 42:* rwm`.
    """
    fields = text.split()
    numbers = fields[1].split(":") if len(fields) == 3 else []
    valid = (
        len(numbers) == 2
        and fields[0] in ("a", "b", "c")
        and all(number == "*" or number.isdigit() for number in numbers)
        and not set(fields[2]) - set("rwm")
    )
    if not valid:
        raise InvalidArgumentError(f"invalid device cgroup rule format: '{text}'")
    rule: dict[str, Any] = {"allow": True, "type": fields[0], "access": fields[2]}
    for key, number in zip(("major", "minor"), numbers, strict=True):
        rule[key] = -1 if number == "*" else int(number)
    return rule


def _sysctls(options: SpecOptions) -> dict[str, str]:
    """Docker's: any user may ping and bind low ports in a network of the container's own."""
    sysctls = dict(options.sysctls)
    if _is_new(options, "network"):
        sysctls.setdefault("net.ipv4.ip_unprivileged_port_start", "0")
        # The range has to be mapped in the user namespace.
        last = USER_NAMESPACE_SIZE - 1 if options.user_base else 2**31 - 1
        sysctls.setdefault("net.ipv4.ping_group_range", f"0 {last}")
    return sysctls


def _seccomp(options: SpecOptions, granted: tuple[str, ...]) -> Mapping[str, Any] | None:
    if options.seccomp == "unconfined" or (options.privileged and options.seccomp == "default"):
        return None
    if options.seccomp == "default":
        return default_profile(granted)
    try:
        document = msgspec.json.decode(options.seccomp, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError) as failure:
        raise InvalidArgumentError(f"decoding seccomp profile failed: {failure}") from failure
    return resolve_profile(document, granted)


def _root_propagation(mounts: tuple[Mount, ...]) -> str:
    """A shared or slave mount needs a root that is at least as open."""
    words = {word.removeprefix("r") for mount in mounts for word in mount.options}
    if "shared" in words:
        return "shared"
    return "slave" if "slave" in words else ""
