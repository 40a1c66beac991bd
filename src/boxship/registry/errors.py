"""What registries answer when they refuse, and the words Docker uses for it.

The error document and its codes are those of the distribution specification, "Error Codes".
"""

import http

import msgspec

from boxship.errors import (
    BoxshipError,
    ForbiddenError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
)
from boxship.model.reference import Reference

_MAX_TEXT = 500
_BY_STATUS = {
    401: ("UNAUTHORIZED", "authentication required"),
    403: ("DENIED", "requested access to the resource is denied"),
    429: ("TOOMANYREQUESTS", "too many requests"),
}


class UnreachableError(UnavailableError):
    """No conversation took place, or it broke off.

    Attributes:
        passing: whether another attempt soon may go better (a timeout, a broken connection),
            other than with a refused connection, an unknown name or a certificate not trusted.
    """

    def __init__(self, message: str, *, hint: str = "", passing: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.passing = passing


class VerificationError(UnavailableError):
    """What the registry sent is not what it promised: its digest or size is another one."""


class StoppedError(UnavailableError):
    """The caller no longer wants the transfer."""

    def __init__(self) -> None:
        super().__init__("the transfer was stopped")


class ResponseError(UnavailableError):
    """The registry answered with a failure.

    Attributes:
        status: HTTP status.
        code: code of the first error in the body, `MANIFEST_UNKNOWN`; empty if there is none.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class _Item(msgspec.Struct, frozen=True):
    code: str = ""
    message: str = ""


class _Document(msgspec.Struct, frozen=True):
    errors: tuple[_Item, ...] = ()
    details: str = ""
    message: str = ""


def response_error(status: int, body: bytes, where: str) -> ResponseError:
    """Make an error of a refused request; `where` tells method and URL."""
    item = _first(body)
    if item is None and status in _BY_STATUS:
        item = _Item(*_BY_STATUS[status])
    if item is None or not item.code:
        text = item.message if item is not None else _plain(body)
        detail = f": {text}" if text else ""
        return ResponseError(
            status, "", f"{where}: received unexpected HTTP status: {_status(status)}{detail}"
        )
    code = item.code.lower().replace("_", " ")
    return ResponseError(status, item.code, f"{code}: {item.message or code}")


def pull_error(error: ResponseError, ref: Reference) -> BoxshipError:
    """The same failure as Docker words it for a pull of this reference."""
    if error.code == "MANIFEST_UNKNOWN" or (error.status == 404 and not error.code):
        reason = error.message if error.code else "manifest unknown: manifest unknown"
        return NotFoundError(f"manifest for {ref.familiar()} not found: {reason}")
    if error.code == "NAME_UNKNOWN":
        return NotFoundError(f"repository {ref.familiar_name} not found: {error.message}")
    if error.code not in ("DENIED", "UNAUTHORIZED"):
        return error
    message = (
        f"pull access denied for {ref.familiar_name}, repository does not exist or may require "
        f"'docker login': {error.message}"
    )
    return NotFoundError(message) if error.code == "DENIED" else UnauthorizedError(message)


def push_error(error: ResponseError) -> BoxshipError:
    """The same failure as Docker words it for a push."""
    if error.code == "UNAUTHORIZED":
        return UnauthorizedError(error.message, hint="log in to the registry first")
    if error.code == "DENIED":
        return ForbiddenError(error.message)
    if error.code in ("NAME_UNKNOWN", "MANIFEST_UNKNOWN", "BLOB_UNKNOWN"):
        return NotFoundError(error.message)
    return error


def _first(body: bytes) -> _Item | None:
    try:
        document = msgspec.json.decode(body, type=_Document)
    except (msgspec.DecodeError, RecursionError):
        return None
    if document.errors:
        return document.errors[0]
    text = document.message or document.details
    return _Item("", text) if text else None


def _plain(body: bytes) -> str:
    text = body.decode(errors="replace").strip()
    return text if len(text) <= _MAX_TEXT and not text.startswith("<") else ""


def _status(status: int) -> str:
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
