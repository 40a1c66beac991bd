"""What kind of value each field of a config.json holds, and the check that finds it there.

So that whatever reads a document may rely on types, and a mistake is one line that names the
field. The shapes are those of the OCI runtime specification's JSON schema (1.2, with what 1.3
added). Unknown fields pass: the specification wants them ignored ("Extensibility").

A shape is the name of a plain type, a dict for an object (field to shape; `!` holds the fields that
must be there), a list of one shape for an array, or a tuple of one for an object with any names.
"""

from boxship.errors import InvalidArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

INTEGERS = {
    # Without the highest, which setresuid(2) takes for "leave it": the process would stay root.
    "id": (0, (1 << 32) - 2),
    "int32": (-(1 << 31), (1 << 31) - 1),
    "int64": (-(1 << 63), (1 << 63) - 1),
    "uint16": (0, (1 << 16) - 1),
    "uint32": (0, (1 << 32) - 1),
    "uint64": (0, (1 << 64) - 1),
}
_WORDS = {
    bool: "a boolean",
    dict: "an object",
    float: "a number with a fraction",
    list: "an array",
    str: "a string",
    type(None): "null",
}

_STRINGS = ["string"]
_IDS = [
    {
        "!": ("containerID", "hostID", "size"),
        "containerID": "uint32",
        "hostID": "uint32",
        "size": "uint32",
    }
]
_HOOKS = [{"!": ("path",), "path": "string", "args": _STRINGS, "env": _STRINGS, "timeout": "int64"}]
_OFFSET = {"secs": "int64", "nanosecs": "uint32"}
_RATES = [{"!": ("major", "minor", "rate"), "major": "int64", "minor": "int64", "rate": "uint64"}]

PROCESS: "Mapping[str, Any]" = {
    "!": ("cwd",),
    "terminal": "boolean",
    "consoleSize": {"height": "uint32", "width": "uint32"},
    "cwd": "string",
    "env": _STRINGS,
    "args": _STRINGS,
    "init": "boolean",
    "user": {
        "uid": "id",
        "gid": "id",
        "umask": "uint32",
        "additionalGids": ["id"],
        "username": "string",
        "additionalGroupNames": _STRINGS,
    },
    "rlimits": [
        {"!": ("type", "soft", "hard"), "type": "string", "soft": "uint64", "hard": "uint64"}
    ],
    "capabilities": {
        "bounding": _STRINGS,
        "effective": _STRINGS,
        "inheritable": _STRINGS,
        "permitted": _STRINGS,
        "ambient": _STRINGS,
    },
    "noNewPrivileges": "boolean",
    "oomScoreAdj": "int32",
    "apparmorProfile": "string",
    "selinuxLabel": "string",
    "scheduler": {
        "!": ("policy",),
        "policy": "string",
        "nice": "int32",
        "priority": "int32",
        "flags": _STRINGS,
        "runtime": "uint64",
        "deadline": "uint64",
        "period": "uint64",
    },
    "ioPriority": {"!": ("class",), "class": "string", "priority": "int32"},
    "execCPUAffinity": {"initial": "string", "final": "string"},
}
"""`process` of the document, and the file of `exec --process`."""

RESOURCES: "Mapping[str, Any]" = {
    "unified": ("string",),
    "devices": [
        {
            "!": ("allow",),
            "allow": "boolean",
            "type": "string",
            "major": "int64",
            "minor": "int64",
            "access": "string",
        }
    ],
    "pids": {"limit": "int64"},
    "blockIO": {
        "weight": "uint16",
        "leafWeight": "uint16",
        "weightDevice": [
            {
                "!": ("major", "minor"),
                "major": "int64",
                "minor": "int64",
                "weight": "uint16",
                "leafWeight": "uint16",
            }
        ],
        "throttleReadBpsDevice": _RATES,
        "throttleWriteBpsDevice": _RATES,
        "throttleReadIOPSDevice": _RATES,
        "throttleWriteIOPSDevice": _RATES,
    },
    "cpu": {
        "cpus": "string",
        "mems": "string",
        "period": "uint64",
        "quota": "int64",
        "burst": "uint64",
        "realtimePeriod": "uint64",
        "realtimeRuntime": "int64",
        "shares": "uint64",
        "idle": "int64",
    },
    "hugepageLimits": [{"!": ("pageSize", "limit"), "pageSize": "string", "limit": "uint64"}],
    "memory": {
        "limit": "int64",
        "reservation": "int64",
        "swap": "int64",
        "kernel": "int64",
        "kernelTCP": "int64",
        "swappiness": "uint64",
        "disableOOMKiller": "boolean",
        "useHierarchy": "boolean",
        "checkBeforeUpdate": "boolean",
    },
    "network": {
        "classID": "uint32",
        "priorities": [{"!": ("name", "priority"), "name": "string", "priority": "uint32"}],
    },
    "rdma": ({"hcaHandles": "uint32", "hcaObjects": "uint32"},),
}
"""`linux.resources` of the document, and the file of `update --resources`."""

_LINUX = {
    "namespaces": [{"!": ("type",), "type": "string", "path": "string"}],
    "uidMappings": _IDS,
    "gidMappings": _IDS,
    "timeOffsets": {"monotonic": _OFFSET, "boottime": _OFFSET},
    "devices": [
        {
            "!": ("type", "path"),
            "type": "string",
            "path": "string",
            "major": "int64",
            "minor": "int64",
            "fileMode": "uint32",
            "uid": "uint32",
            "gid": "uint32",
        }
    ],
    "netDevices": ({"name": "string"},),
    "cgroupsPath": "string",
    "resources": RESOURCES,
    "intelRdt": {
        "closID": "string",
        "schemata": _STRINGS,
        "l3CacheSchema": "string",
        "memBwSchema": "string",
        "enableMonitoring": "boolean",
    },
    "memoryPolicy": {"!": ("mode",), "mode": "string", "nodes": "string", "flags": _STRINGS},
    "sysctl": ("string",),
    "seccomp": {
        "!": ("defaultAction",),
        "defaultAction": "string",
        "defaultErrnoRet": "uint32",
        "architectures": _STRINGS,
        "flags": _STRINGS,
        "listenerPath": "string",
        "listenerMetadata": "text",
        "syscalls": [
            {
                "!": ("names", "action"),
                "names": _STRINGS,
                "action": "string",
                "errnoRet": "uint32",
                "args": [
                    {
                        "!": ("index", "value", "op"),
                        "index": "uint32",
                        "value": "uint64",
                        "valueTwo": "uint64",
                        "op": "string",
                    }
                ],
            }
        ],
    },
    "rootfsPropagation": "string",
    "maskedPaths": _STRINGS,
    "readonlyPaths": _STRINGS,
    "mountLabel": "string",
    "personality": {"!": ("domain",), "domain": "string", "flags": _STRINGS},
}

DOCUMENT: "Mapping[str, Any]" = {
    "!": ("ociVersion",),
    "ociVersion": "string",
    "hostname": "string",
    "domainname": "string",
    "annotations": ("text",),
    "root": {"!": ("path",), "path": "string", "readonly": "boolean"},
    "process": PROCESS,
    "mounts": [
        {
            "!": ("destination",),
            "destination": "string",
            "type": "string",
            "source": "string",
            "options": _STRINGS,
            "uidMappings": _IDS,
            "gidMappings": _IDS,
        }
    ],
    "hooks": {
        "prestart": _HOOKS,
        "createRuntime": _HOOKS,
        "createContainer": _HOOKS,
        "startContainer": _HOOKS,
        "poststart": _HOOKS,
        "poststop": _HOOKS,
    },
    "linux": _LINUX,
}
"""A whole config.json."""


def check(value: "Any", shape: "Any", name: str = "") -> None:
    """Refuse a value that is not of a shape; null stands for an absent field.

    Args:
        value: decoded JSON.
        shape: PROCESS, RESOURCES or DOCUMENT, or a part of one.
        name: what to call the value; empty for the document.

    Raises:
        InvalidArgumentError: naming the first field that is wrong or missing.
    """
    if shape.__class__ is str:
        _check_plain(value, shape, name)
    elif shape.__class__ is list:
        if value.__class__ is not list:
            raise _wrong(value, "an array", name)
        if shape is _STRINGS and _are_plain(value):
            return
        for index, item in enumerate(value):
            check(item, shape[0], f"{name}[{index}]")
    elif value.__class__ is not dict:
        raise _wrong(value, "an object", name)
    elif shape.__class__ is tuple:
        for key, item in value.items():
            if shape[0] != "text":
                _check_text(key, f"a name in {name}")
            check(item, shape[0], f"{name}.{key}")
    else:
        _check_fields(value, shape, f"{name}." if name else "")


def _are_plain(words: "list[Any]") -> bool:
    """Whether all are strings that need no closer look: a seccomp profile has hundreds."""
    try:
        whole = "".join(words)
    except TypeError:
        return False
    return whole.isascii() and "\0" not in whole


def _check_fields(value: "dict[str, Any]", shape: "Mapping[str, Any]", prefix: str) -> None:
    for key in shape.get("!", ()):
        if value.get(key) is None:
            raise InvalidArgumentError(f"{prefix}{key} is missing")
    for key, item in value.items():
        if item is not None and key in shape and key != "!":
            check(item, shape[key], f"{prefix}{key}")


def _check_plain(value: "Any", shape: str, name: str) -> None:
    if shape == "string":
        if value.__class__ is not str:
            raise _wrong(value, "a string", name)
        _check_text(value, name)
    elif shape == "text":
        if value.__class__ is not str:
            raise _wrong(value, "a string", name)
    elif shape == "boolean":
        if value.__class__ is not bool:
            raise _wrong(value, "a boolean", name)
    else:
        least, most = INTEGERS[shape]
        if value.__class__ is not int or not least <= value <= most:
            raise _wrong(value, f"an integer from {least} to {most}", name)


def _check_text(value: str, name: str) -> None:
    """Refuse what no system call takes: a zero byte, or half of a surrogate pair."""
    if value.isascii() and "\0" not in value:
        return
    try:
        whole = "\0" not in value and value.encode() is not None
    except UnicodeEncodeError:
        whole = False
    if not whole:
        raise InvalidArgumentError(f"{name} has a character that cannot be used there: {value!r}")


def _wrong(value: "Any", wanted: str, name: str) -> InvalidArgumentError:
    found = _WORDS.get(value.__class__) or str(value)
    return InvalidArgumentError(f"{name or 'the document'} must be {wanted}, not {found}")
