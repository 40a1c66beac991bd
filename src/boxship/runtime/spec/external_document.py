"""From our runtime document to one that any OCI runtime takes, and its failures to Docker's words.

What we extend the specification by is resolved here: users by name, id-mapped binds. Used by the
helper of external runtimes, so it imports nothing big.
"""

from boxship.runtime import sync

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.runtime.credentials import Identity

PLAIN = "oci"
"""Directory in our bundle: the bundle that an external runtime gets."""

_OURS = frozenset(("idmap", "ridmap", "x-boxship.idmap"))
_PREFIXES = (
    "runc create failed: ",
    "exec failed: ",
    "unable to start container process: ",
    "OCI runtime error: ",
)
_MISSING = ("executable file not found", "not found in $path", "no such file or directory")


def plain_process(process: "dict[str, Any]", identity: "Identity") -> "dict[str, Any]":
    """The process with ids in place of names, and with a HOME."""
    found = {**process, "user": {"uid": identity.uid, "gid": identity.gid}}
    if identity.groups:
        found["user"]["additionalGids"] = list(identity.groups)
    umask = (process.get("user") or {}).get("umask")
    if umask is not None:
        found["user"]["umask"] = umask
    env = list(process.get("env") or ())
    if not any(item.startswith("HOME=") for item in env):
        env.append(f"HOME={identity.home}")
    found["env"] = env
    found.pop("init", None)
    return found


def plain_document(spec: "dict[str, Any]", identity: "Identity") -> "dict[str, Any]":
    """The document without what only our runtime knows."""
    found = {**spec, "process": plain_process(spec["process"], identity)}
    found["mounts"] = [
        {**mount, "options": [o for o in mount.get("options") or () if o not in _OURS]}
        for mount in spec.get("mounts") or ()
    ]
    domain = found.pop("domainname", "")
    if domain:
        # A field of the specification since 1.1 only; the kernel's parameter is older.
        linux = dict(spec.get("linux") or {})
        linux["sysctl"] = {**(linux.get("sysctl") or {}), "kernel.domainname": domain}
        found["linux"] = linux
    return found


def explain(text: str, program: str) -> "tuple[str, str]":
    """Why a runtime failed: the reason that decides about exit codes, and Docker's words.

    Args:
        text: what the runtime logged.
        program: first word of what was to be executed.
    """
    words = text.strip()
    trimmed = True
    while trimmed:
        trimmed = False
        for prefix in _PREFIXES:
            if words.startswith(prefix):
                words, trimmed = words[len(prefix) :], True
    low = words.lower()
    of_program = words.startswith(("executable ", "open executable"))
    if any(sign in low for sign in _MISSING):
        if of_program:
            words = _not_found(program)
        return sync.NOT_FOUND, words
    if "permission denied" in low or "is a directory" in low:
        if of_program:
            words = f'exec: "{program}": permission denied'
        elif "permission denied" not in low:
            words = f"{words}: permission denied"
        return sync.PERMISSION, words
    return sync.OTHER, words


def _not_found(program: str) -> str:
    if "/" in program:
        return f'exec: "{program}": stat {program}: no such file or directory'
    return f'exec: "{program}": executable file not found in $PATH'
