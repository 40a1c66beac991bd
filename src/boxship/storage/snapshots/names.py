"""Names of snapshots, as they appear in the file system."""

import re

from boxship.errors import InvalidArgumentError
from boxship.model.digest import Digest, hex_of, parse_digest

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,200}")
_SHORT = 16


def check_key(key: str) -> str:
    """Return the key of an active snapshot when it can name a directory.

    Raises:
        InvalidArgumentError: it cannot.
    """
    if _KEY.fullmatch(key) is None:
        raise InvalidArgumentError(f"invalid snapshot key {key!r}: want letters, digits, _ . and -")
    return key


def short_name(name: str) -> str:
    """The directory name of a committed snapshot: the first 64 bits of its chain id.

    Two chain ids may share it (by intent, not by chance), so the store keeps the whole id beside.

    Raises:
        InvalidArgumentError: the name is not a chain id.
    """
    return hex_of(parse_digest(Digest(name)))[:_SHORT]
