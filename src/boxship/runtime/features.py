"""`boxship-runtime features`: what this runtime supports (OCI runtime spec, "features")."""

import sys

from boxship.kernel import capabilities, namespaces
from boxship.runtime.encode import dumps
from boxship.runtime.hooks import STDERR, STDOUT
from boxship.runtime.options import known_words
from boxship.runtime.process import KEEP_GROUPS
from boxship.runtime.state import OCI_VERSION, Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.runtime.arguments import Arguments

_HOOKS = (
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
)
_ACTIONS = ("ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "TRACE", "TRAP")
_OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
_FLAGS = ("TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV")


def features(_: Store, __: "Arguments", ___: "Arguments") -> int:
    """Print the OCI features document."""
    flags = [f"SECCOMP_FILTER_FLAG_{word}" for word in _FLAGS]
    document: dict[str, Any] = {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": OCI_VERSION,
        "hooks": list(_HOOKS),
        "mountOptions": sorted(known_words()),
        "linux": {
            "namespaces": sorted(namespaces.KINDS),
            "capabilities": list(capabilities.NAMES),
            "cgroup": {
                "v1": True,
                "v2": True,
                "systemd": False,
                "systemdUser": False,
                "rdma": True,
            },
            "seccomp": {
                "enabled": True,
                "actions": [f"SCMP_ACT_{word}" for word in _ACTIONS],
                "operators": [f"SCMP_CMP_{word}" for word in _OPERATORS],
                "knownFlags": flags,
                "supportedFlags": flags,
            },
            "apparmor": {"enabled": False},
            "selinux": {"enabled": False},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
        },
        "annotations": {"org.opencontainers.runc.checkpoint.enabled": "false"},
        "potentiallyUnsafeConfigAnnotations": [STDOUT, STDERR, KEEP_GROUPS],
    }
    sys.stdout.write(dumps(document) + "\n")
    return 0
