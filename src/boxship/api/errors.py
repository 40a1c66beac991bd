"""From an error's kind to an HTTP status: the one table, and the body Docker clients read."""

import msgspec

from boxship import log
from boxship.errors import BoxshipError, InternalError

STATUS = {
    "invalid_argument": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "not_modified": 304,
    "unsupported": 501,
    "unavailable": 503,
    "exhausted": 500,
    "internal": 500,
}


def status_of(error: BoxshipError) -> int:
    return STATUS.get(error.kind, 500)


def error_body(message: str) -> bytes:
    """`{"message": ...}`, which every Docker client shows to its user."""
    return msgspec.json.encode({"message": message})


def unexpected(what: str, error: Exception) -> InternalError:
    """Report a failure that nobody foresaw, and give the error that a client may see of it."""
    log.exception(what, error)
    return InternalError(f"internal error: {type(error).__name__}: {error}")
