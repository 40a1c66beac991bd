"""`boxship-runtime spec --rootless`: what an ordinary user has to change in a document."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# These belong to groups and hierarchies that a single mapped id does not have.
_OWNERS = ("uid=", "gid=")
_DROPPED = ("cgroup", "cgroup2")


def make_rootless(spec: "dict[str, Any]", uid: int, gid: int) -> "dict[str, Any]":
    """A document that an ordinary user can run.

    It has a user namespace with root only, who is the user; the host's network, since a new one
    would have no way out; the host's /sys, since a fresh one needs a network namespace; no limits.

    Args:
        spec: as for root; it is not changed.
        uid: the user's id.
        gid: the user's group id.
    """
    linux = {name: value for name, value in spec["linux"].items() if name != "cgroupsPath"}
    kept = [entry for entry in linux["namespaces"] if entry["type"] not in ("network", "user")]
    linux["namespaces"] = [*kept, {"type": "user"}]
    linux["uidMappings"] = [{"containerID": 0, "hostID": uid, "size": 1}]
    linux["gidMappings"] = [{"containerID": 0, "hostID": gid, "size": 1}]
    linux.pop("resources", None)
    sysctls = linux.pop("sysctl", {})
    own = {name: value for name, value in sysctls.items() if not name.startswith("net.")}
    if own:
        linux["sysctl"] = own
    # No name: its groups could not be taken, for setgroups(2) is forbidden.
    user = {"uid": 0, "gid": 0, "umask": 0o022}
    return {
        **spec,
        "process": {**spec["process"], "user": user},
        "mounts": [_mount(entry) for entry in spec["mounts"] if entry["type"] not in _DROPPED],
        "linux": linux,
    }


def _mount(entry: "dict[str, Any]") -> "dict[str, Any]":
    if entry["type"] == "sysfs":
        words = ["rbind", "rslave", "nosuid", "noexec", "nodev", "ro", "rro"]
        return {"type": "bind", "source": "/sys", "destination": "/sys", "options": words}
    words = [word for word in entry.get("options") or () if not word.startswith(_OWNERS)]
    return {**entry, "options": words}
