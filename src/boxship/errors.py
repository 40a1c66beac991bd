"""The errors boxship raises on purpose, by kind.

A kind is stable: the API maps each one to an HTTP status in a single table and programs may
match on it. The message says what failed, on which object and why, in lower case without a full
stop; the hint says what to do next.
This module is imported by the launcher, so it imports nothing.
"""


class BoxshipError(Exception):
    """Base of every deliberate failure.

    Attributes:
        kind: stable machine-readable name of the class of failure.
        message: what failed, on which object, and why.
        hint: what the user can do next, or an empty string.
    """

    kind = "internal"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InternalError(BoxshipError):
    """The engine or the host failed; the request was fine."""

    kind = "internal"


class InvalidArgumentError(BoxshipError):
    """The request, file or option is wrong in itself."""

    kind = "invalid_argument"


class NotFoundError(BoxshipError):
    """The named object does not exist."""

    kind = "not_found"


class ConflictError(BoxshipError):
    """The object's state or another object forbids the request."""

    kind = "conflict"


class NotModifiedError(BoxshipError):
    """The object already is what was asked for (already started, already stopped)."""

    kind = "not_modified"


class UnauthorizedError(BoxshipError):
    """Credentials are missing or wrong."""

    kind = "unauthorized"


class ForbiddenError(BoxshipError):
    """Policy forbids the request whoever asks."""

    kind = "forbidden"


class UnavailableError(BoxshipError):
    """Something this depends on (registry, name server, keeper) does not answer."""

    kind = "unavailable"


class UnsupportedError(BoxshipError):
    """A known option or request that this version or this host cannot honour."""

    kind = "unsupported"


class ExhaustedError(BoxshipError):
    """A resource ran out: disk, ports, addresses, user ids."""

    kind = "exhausted"
