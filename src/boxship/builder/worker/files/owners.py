"""`--chown`: names resolved by the passwd and group files of the target, never by the host's."""

import os
from collections.abc import Iterator

from boxship.errors import InvalidArgumentError
from boxship.kernel import safepath

_MAX_BYTES = 16 << 20
_MAX_ID = (1 << 32) - 2


def resolve_owner(root: int, text: str) -> tuple[int, int]:
    """User and group id of `user[:group]`; without a group a name brings its own, a number is both.

    Raises:
        InvalidArgumentError: no such user or group in the root, or a number out of range.
    """
    user, _, group = text.partition(":")
    uid, gid = _user(root, user)
    if group:
        gid = _number(group) if group.isdecimal() else _group(root, group)
    return uid, gid


def _user(root: int, name: str) -> tuple[int, int]:
    if name.isdecimal():
        return _number(name), _number(name)
    if not name:
        return 0, 0
    for fields in _lines(root, "/etc/passwd"):
        if fields[0] == name and len(fields) > 3:
            return _number(fields[2]), _number(fields[3])
    raise InvalidArgumentError(f"unable to find user {name}: no matching entries in passwd file")


def _group(root: int, name: str) -> int:
    for fields in _lines(root, "/etc/group"):
        if fields[0] == name and len(fields) > 2:
            return _number(fields[2])
    raise InvalidArgumentError(f"unable to find group {name}: no matching entries in group file")


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) > _MAX_ID:
        raise InvalidArgumentError(f"invalid user or group id {text!r}")
    return int(text)


def _lines(root: int, path: str) -> Iterator[list[str]]:
    try:
        descriptor = safepath.open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    with os.fdopen(descriptor, "rb") as stream:
        for line in stream.read(_MAX_BYTES).decode(errors="replace").splitlines():
            yield line.split(":")
