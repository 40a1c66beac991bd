"""Fields of a runtime document that this runtime does not carry out: refused by name.

OCI runtime spec, "create": a property that cannot be applied is an error. To leave one out in
silence would start a container with less than its document asks for.
"""

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.runtime.rootless import host_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    IdRanges = tuple[tuple[int, int, int], ...]

_OOM_SCORES = range(-1000, 1001)
# Names as getrlimit has them.
_LIMITS = frozenset(
    f"RLIMIT_{name}"
    for name in (
        *("AS", "CORE", "CPU", "DATA", "FSIZE", "LOCKS", "MEMLOCK", "MSGQUEUE", "NICE", "NOFILE"),
        *("NPROC", "RSS", "RTPRIO", "RTTIME", "SIGPENDING", "STACK"),
    )
)


def check_process(process: "dict[str, Any]") -> None:
    """Refuse what a process object asks for in vain.

    Raises:
        InvalidArgumentError: a resource is unknown, is limited twice, or softer than hard (OCI
            runtime spec, "rlimits"); or the OOM score is out of range.
    """
    seen = set()
    for limit in process.get("rlimits") or ():
        kind = limit.get("type")
        if kind not in _LIMITS:
            raise InvalidArgumentError(f"unknown type in process.rlimits: {kind!r}")
        if kind in seen:
            raise InvalidArgumentError(f"process.rlimits has {kind} more than once")
        if limit["soft"] > limit["hard"] >= 0:
            msg = f"process.rlimits: {kind} has soft {limit['soft']} above hard {limit['hard']}"
            raise InvalidArgumentError(msg)
        seen.add(kind)
    score = process.get("oomScoreAdj")
    if score is not None and score not in _OOM_SCORES:
        msg = f"process.oomScoreAdj {score} is not between -1000 and 1000"
        raise InvalidArgumentError(msg)


def check_ids(user: "dict[str, Any]", uids: "IdRanges", gids: "IdRanges") -> None:
    """Refuse ids that a new user namespace does not have: the kernel would say EINVAL only.

    Args:
        user: `process.user`.
        uids: ranges of `linux.uidMappings`, as inside, outside and count.
        gids: the same for groups.

    Raises:
        InvalidArgumentError: naming the field.
    """
    wanted = [("uid", user.get("uid") or 0, uids), ("gid", user.get("gid") or 0, gids)]
    wanted += [("additionalGids", gid, gids) for gid in user.get("additionalGids") or ()]
    for field, number, ranges in wanted:
        if host_id(ranges, number) < 0:
            kind = "uidMappings" if field == "uid" else "gidMappings"
            msg = f"process.user.{field}: {number} is not in linux.{kind}"
            raise InvalidArgumentError(msg, hint="map it, or leave it out")


def check_linux(linux: "dict[str, Any]") -> None:
    """Refuse what the `linux` object asks for in vain.

    Raises:
        UnsupportedError: a field of it cannot be honoured; named.
    """
    if linux.get("intelRdt"):
        raise UnsupportedError(
            "cannot honour linux.intelRdt: cache and memory bandwidth classes (resctrl) are not"
            " supported",
            hint="leave the field out of config.json",
        )
