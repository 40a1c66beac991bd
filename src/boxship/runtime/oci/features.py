"""`boxship-runtime features`: what this runtime knows (OCI runtime spec, "Features Structure").

Names that are known, whether or not this kernel has them; what the kernel has is in
`seccomp.supportedFlags` and in `annotations`.
"""

import sys

from boxship.kernel import capabilities, namespaces, seccomp
from boxship.kernel.libseccomp import ACTIONS, OPERATORS, architectures, version
from boxship.runtime.filesystem.options import known_words
from boxship.runtime.hooks import STDERR, STDOUT
from boxship.runtime.oci.state import OCI_NEWEST
from boxship.runtime.process import KEEP_GROUPS
from boxship.runtime.spec.encode import dumps
from boxship.runtime.tuning import MEMORY_FLAGS, MEMORY_MODES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.runtime.oci.arguments import Arguments
    from boxship.runtime.oci.state import Store

HOOKS = (
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
)
"""Names of hooks, in the order of a container's life."""


def document() -> "dict[str, Any]":
    """The features structure."""
    from boxship.__version__ import __version__  # noqa: PLC0415 - as the command line does

    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": OCI_NEWEST,
        "hooks": list(HOOKS),
        "mountOptions": sorted(known_words()),
        "linux": _linux(),
        "annotations": {
            "io.boxship.runtime.version": __version__,
            "org.opencontainers.runc.checkpoint.enabled": "false",
            "io.github.seccomp.libseccomp.version": version(),
        },
        "potentiallyUnsafeConfigAnnotations": [STDOUT, STDERR, KEEP_GROUPS],
    }


def _linux() -> "dict[str, Any]":
    return {
        "namespaces": sorted(namespaces.KINDS),
        "capabilities": list(capabilities.NAMES),
        "cgroup": {"v1": True, "v2": True, "systemd": False, "systemdUser": False, "rdma": True},
        "seccomp": {
            "enabled": bool(version()),
            "actions": sorted(ACTIONS),
            "operators": sorted(OPERATORS),
            "archs": sorted(architectures()),
            "knownFlags": sorted(seccomp.known_flags()),
            "supportedFlags": sorted(seccomp.supported_flags()),
        },
        "apparmor": {"enabled": True},
        "selinux": {"enabled": True},
        "intelRdt": {"enabled": False, "schemata": False, "monitoring": False},
        "memoryPolicy": {"modes": sorted(MEMORY_MODES), "flags": sorted(MEMORY_FLAGS)},
        "mountExtensions": {"idmap": {"enabled": True}},
        "netDevices": {"enabled": True},
    }


def features(_: "Store", __: "Arguments", ___: "Arguments") -> int:
    """Print the OCI features document."""
    sys.stdout.write(f"{dumps(document())}\n")
    return 0
